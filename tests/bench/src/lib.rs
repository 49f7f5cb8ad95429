//! What the benchmark and the end-to-end tests share: just enough BGP to announce a table, and tables.

pub mod bgp;
pub mod table;
