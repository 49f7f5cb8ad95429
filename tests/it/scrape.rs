//! What a scrape of the metrics costs.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use lab::{Error, Lab, Neighbor, Result, Rustbgpd};

const SCRAPES: u32 = 20;

/// How long all threads of a process have had a processor (proc(5), `schedstat`).
fn on_processor(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The measure is 20 ms with programs built for release, which `RUSTBGPD_BIN_DIR` names; those of the tests are slower.
#[test]
fn a_scrape_of_a_thousand_neighbors_costs_milliseconds_of_all_processes_together() -> Result<()> {
    Lab::run(|lab| {
        let us = lab.host("us")?;
        let neighbors: Vec<Neighbor> = (0..1000)
            .map(|n| Neighbor::new(&format!("10.1.{}.{}", n / 250, n % 250 + 1), 65002).set("passive", true))
            .collect();
        let config = Rustbgpd::configuration(65001, "10.0.0.1", &neighbors)
            .replace("log_format = \"json\"", "log_format = \"json\"\nprometheus_addr = \"127.0.0.1:9179\"");
        let mut daemon = Rustbgpd::start(&us, &config)?;
        let mut pids = vec![daemon.process().pid()?];
        for role in ["session", "rde", "control"] {
            pids.push(daemon.engine(role)?);
        }
        let used = || pids.iter().map(|pid| on_processor(*pid)).sum::<Result<Duration>>();
        let scrape = || {
            let mut stream = us.connect("127.0.0.1:9179".parse()?, Duration::from_secs(5))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok::<_, Error>(text)
        };
        let text = scrape()?;
        assert!(
            text.contains("bgp_peers_configured 1000\n"),
            "{}",
            text.chars().take(500).collect::<String>()
        );
        let before = used()?;
        for _ in 0..SCRAPES {
            scrape()?;
        }
        let each = (used()? - before) / SCRAPES;
        println!("a scrape: {each:?} of CPU in all processes, {} octets", text.len());
        let most = if std::env::var_os("RUSTBGPD_BIN_DIR").is_some() { 20 } else { 100 };
        assert!(each < Duration::from_millis(most), "{each:?}");
        Ok(())
    })
}
