//! End-to-end tests: the daemon among real BGP daemons, in network namespaces.

mod add_path;
mod documents;
mod faults;
mod full_table;
mod graceful_shutdown;
mod guards;
mod interop;
mod lab_itself;
mod lan;
mod life;
mod limits;
mod malformed;
mod misbehaviour;
mod mutations;
mod next_hops;
mod options;
mod outbound;
mod privileges;
mod reflection;
mod refresh;
mod reload;
mod restart;
mod roles;
mod route_server;
mod sessions;
