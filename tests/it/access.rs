//! Who may use the control API: members of groups, listed users and groups, holders of certificates.

use std::rc::Rc;

use lab::{Host, Lab, Result, Rustbgpd, binary};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A folder in which anyone may find the programs.
pub(crate) fn programs_for_all(host: &Host) -> Result<String> {
    let folder = binary("rustbgpd")?.parent().map(|f| f.to_string_lossy().into_owned()).unwrap_or_default();
    host.sh("mkdir /run/lab/bin; mount --bind \"$1\" /run/lab/bin", &[&folder])?;
    Ok("/run/lab/bin".into())
}

/// What `rustbgpctl global` says, run as user 65534 in these groups beside its own.
fn as_member_of(host: &Rc<Host>, programs: &str, groups: &[&str], socket: &str) -> Result<(bool, String)> {
    let client = format!("{programs}/rustbgpctl");
    let groups =
        if groups.is_empty() { "--clear-groups".into() } else { format!("--groups={}", groups.join(",")) };
    let who = ["setpriv", "--reuid=65534", "--regid=65534", &groups];
    let what = [client.as_str(), "-s", socket, "global"];
    let output = host.output(&[who.as_slice(), &what].concat())?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn members_of_the_service_group_use_the_default_socket() -> Result<()> {
    Lab::run(|lab| {
        let us = lab.host("us")?;
        let programs = programs_for_all(&us)?;
        // An account with a group of its own, as on every system: its number is 1.
        let config = Rustbgpd::configuration(65001, "10.0.0.1", &[])
            .replace("listen_port = 179", "listen_port = 179\nuser = \"daemon\"");
        let _daemon = Rustbgpd::start(&us, &config)?;
        let socket = "unix:///run/rustbgpd/grpc.sock";
        assert_eq!(us.run(&["stat", "-c", "%a %U %g", "/run/rustbgpd/grpc.sock"])?.trim(), "660 root 1");
        let (done, said) = as_member_of(&us, &programs, &["1"], socket)?;
        assert!(done && said.contains("65001"), "{said}");
        let (done, said) = as_member_of(&us, &programs, &[], socket)?;
        assert!(!done && said.contains("You may not use this socket"), "{said}");
        Ok(())
    })
}

#[test]
fn allow_gids_counts_supplementary_groups() -> Result<()> {
    Lab::run(|lab| {
        let us = lab.host("us")?;
        let programs = programs_for_all(&us)?;
        let listener = "[global.telemetry.grpc_uds]\npath = \"/run/grpc.sock\"\nmode = 0o666\n\
                        allow_uids = [0]\nallow_gids = [7]\n";
        let config = Rustbgpd::configuration(65001, "10.0.0.1", &[]) + listener;
        let mut process = Rustbgpd::spawn(&us, &config)?;
        process.wait_log("starting rustbgpd", 10)?;
        let socket = "unix:///run/grpc.sock";
        let (done, said) = as_member_of(&us, &programs, &["5", "6", "7", "8"], socket)?;
        assert!(done && said.contains("65001"), "{said}");
        let (done, said) = as_member_of(&us, &programs, &["5", "6", "8"], socket)?;
        assert!(!done && said.contains("allow_gids"), "{said}");
        process.wait_log("connection to the gRPC socket closed", 5)?;
        us.run(&[&format!("{programs}/rustbgpctl"), "-s", socket, "global"])?;
        assert!(process.stop()?.success());
        Ok(())
    })
}

#[test]
fn mutual_tls_by_the_configuration_and_the_command_line() -> Result<()> {
    Lab::run(|lab| {
        let us = lab.host("us")?;
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/data/tls");
        let listener = format!(
            "[global.telemetry.grpc_tcp]\naddress = \"127.0.0.1:50051\"\ntls_cert = \"{files}/server.pem\"\n\
             tls_key = \"{files}/server.key\"\ntls_client_ca = \"{files}/ca.pem\"\n[global.telemetry.grpc_uds]\n"
        );
        let config = Rustbgpd::configuration(65001, "10.0.0.1", &[]) + &listener;
        let mut daemon = Rustbgpd::start(&us, &config)?;
        let client = binary("rustbgpctl")?.to_string_lossy().into_owned();
        let ask = |address: &str, certificate: Option<&str>| {
            let ca = format!("{files}/ca.pem");
            let mut argv = vec![client.clone(), "-s".into(), address.into(), "--tls-ca".into(), ca];
            if let Some(name) = certificate {
                argv.extend(["--tls-cert".into(), format!("{files}/{name}.pem")]);
                argv.extend(["--tls-key".into(), format!("{files}/{name}.key")]);
            }
            argv.push("global".into());
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            let output = us.output(&argv)?;
            Ok::<_, lab::Error>((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
        };
        for host in ["localhost", "127.0.0.1"] {
            assert_eq!(ask(&format!("https://{host}:50051"), Some("client"))?, (Some(0), String::new()));
        }
        for (address, certificate) in
            [("https://localhost:50051", None), ("https://localhost:50051", Some("stranger"))]
        {
            let (status, said) = ask(address, certificate)?;
            assert_eq!(status, Some(1), "{said}");
        }
        // An engine that is started again has the key, too.
        let control = daemon.engine("control")?;
        kill(Pid::from_raw(i32::try_from(control)?), Signal::SIGKILL)?;
        daemon.process().wait_log("all engines run again", 10)?;
        lab::wait("an answer", 10, || Ok(ask("https://localhost:50051", Some("client"))?.0 == Some(0)))
    })
}
