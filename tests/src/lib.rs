//! The lab: real daemons in network namespaces, and the tests that use it.
