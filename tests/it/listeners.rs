//! Everything that the daemon listens on: nothing but what the configuration names, and garbage there harms nobody.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lab::{Host, Lab, Neighbor, Result, Rustbgpd, Speaker};

const SHORT: Duration = Duration::from_millis(150);

/// Ports of the daemon's host that take TCP connections, tried one by one.
fn scan(from: &Host) -> Result<BTreeSet<u16>> {
    let address: IpAddr = "10.0.0.1".parse()?;
    Ok((1..=u16::MAX).filter(|port| from.connect(SocketAddr::new(address, *port), SHORT).is_ok()).collect())
}

/// What nobody who speaks the language would say.
fn garbage() -> Vec<Vec<u8>> {
    let tls = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].to_vec();
    let endless_header = [b"GET /metrics HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; 1 << 20]].concat();
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // A SETTINGS frame of 16 MiB, a HEADERS frame that refers to no table, frames of unknown types.
    let settings = [http2.clone(), vec![0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0], vec![7; 70_000]].concat();
    let headers = [http2.clone(), vec![0, 0, 4, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]].concat();
    let unknown = [http2, [0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff].repeat(1000)].concat();
    let mut noise = vec![0_u8; 100_000];
    let mut state = 7_u32;
    for octet in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *octet = (state >> 24) as u8;
    }
    let request = b"POST /../../etc/shadow HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_vec();
    vec![vec![], vec![0], noise, tls, endless_header, settings, headers, unknown, request, vec![0xff; 5000]]
}

/// Sends it, and takes what comes back until the other side closes or has no more to say. That it may close early, and even
/// refuse, is its right.
fn throw(mut stream: TcpStream, octets: &[u8]) {
    let _ = stream.set_write_timeout(Some(SHORT));
    let _ = stream.set_read_timeout(Some(SHORT));
    let _ = stream.write_all(octets);
    let mut answer = [0; 4096];
    let mut most = 64;
    while most > 0 && stream.read(&mut answer).is_ok_and(|n| n > 0) {
        most -= 1;
    }
}

#[test]
fn nothing_else_is_open_and_garbage_harms_nobody() -> Result<()> {
    Lab::run(|lab| {
        let (us, peer) = (lab.host("us")?, lab.host("peer")?);
        lab.link(&us, &peer, &["10.0.0.1/24"], &["10.0.0.2/24", "10.0.0.3/24"])?;
        let neighbor =
            |address: &str| Neighbor::new(address, 65002).set("passive", true).set("hold_time", 90);
        let config =
            Rustbgpd::configuration(65001, "10.0.0.1", &[neighbor("10.0.0.2"), neighbor("10.0.0.3")]);
        let telemetry = "[global.telemetry]\nprometheus_addr = \"10.0.0.1:9179\"\n";
        let config = config.replace("[global.telemetry]\n", telemetry).replacen(
            "\n[[neighbors]]",
            "\n[global.telemetry.grpc_uds]\n[global.telemetry.grpc_tcp]\naddress = \"10.0.0.1:50051\"\n\n[[neighbors]]",
            1,
        );
        let daemon = Rustbgpd::start(&us, &config)?;
        let mut good = Speaker::establish(&peer, "10.0.0.1:179".parse()?, 65002, 90, [10, 0, 0, 2])?;
        daemon.wait_established(&["10.0.0.2".parse()?])?;

        assert_eq!(scan(&peer)?, BTreeSet::from([179, 9179, 50051]));
        assert_eq!(us.run(&["ss", "-Hlun"])?, "", "no UDP");
        assert_eq!(
            us.run(&["ss", "-Hl0"])?.lines().filter(|l| l.contains("p_raw")).count(),
            0,
            "no raw sockets"
        );

        for port in [179, 9179, 50051] {
            let to = SocketAddr::new("10.0.0.1".parse()?, port);
            for octets in garbage() {
                throw(peer.connect(to, Duration::from_secs(5))?, &octets);
            }
        }
        let socket = format!("/proc/{}/root/run/rustbgpd/grpc.sock", us.init_pid());
        for octets in garbage() {
            let mut stream = UnixStream::connect(&socket)?;
            stream.set_write_timeout(Some(SHORT))?;
            // It may close when it has seen enough.
            let _ = stream.write_all(&octets);
        }
        // Connections that say nothing: they cost a place, not the service.
        let silent: Vec<TcpStream> = [9179, 50051]
            .iter()
            .flat_map(|port| std::iter::repeat_n(*port, 100))
            .map(|port| peer.connect(SocketAddr::new("10.0.0.1".parse()?, port), Duration::from_secs(5)))
            .collect::<Result<_>>()?;

        let state = daemon.neighbor("10.0.0.2".parse()?)?;
        assert!(state.established && state.flaps == 0, "{state:?}");
        let processes = daemon.json(&["processes"])?;
        let processes = processes.as_array().cloned().unwrap_or_default();
        assert_eq!(processes.len(), 4);
        assert!(processes.iter().all(|p| p["restarts"] == 0), "{processes:?}");
        drop(silent);
        good.send(&bgpbench::bgp::keepalive())?;
        assert!(daemon.neighbor("10.0.0.2".parse()?)?.established);
        Ok(())
    })
}
