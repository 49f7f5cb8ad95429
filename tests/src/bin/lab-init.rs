//! The first process of a host of the lab.

fn main() -> std::io::Result<()> {
    lab::run_init()
}
