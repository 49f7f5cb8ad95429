//! The command lines of the operator's manual, as they stand there, in a shell.

use lab::{Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, Terminal, binary, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;
/// 10.0.0.2, which the manual speaks of.
const PAIR: u8 = 0;
const CONFIG: &str = "/etc/rustbgpd/config.toml";

/// A shell in which the programs are found, and the daemon where it listens here.
fn shell(bin: &str, line: &str) -> String {
    format!("export PATH={bin}:$PATH RUSTBGPD_ADDR=unix:///run/rustbgpd/grpc.sock; {line}")
}

struct Stage {
    pairs: Pairs,
    daemon: Rustbgpd,
    _speaker: Speaker,
    bin: String,
}

impl Stage {
    fn start(lab: &Lab) -> Result<Self> {
        let pairs = Pairs::new(lab, &[PAIR])?;
        let neighbor = Neighbor::new(&Pairs::theirs(PAIR).to_string(), PEER).set("hold_time", 90);
        let neighbor = neighbor.set("passive", true);
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &[neighbor]))?;
        let _speaker = Speaker::establish(&pairs.peer, Pairs::port(PAIR), PEER, 90, [10, 0, 0, 2])?;
        daemon.wait_established(&[Pairs::theirs(PAIR)])?;
        let bin = binary("rustbgpctl")?.parent().map(|p| p.display().to_string()).unwrap_or_default();
        Ok(Stage { pairs, daemon, _speaker, bin })
    }

    /// Runs a line: status, standard output, standard error.
    fn line(&self, line: &str) -> Result<(i32, String, String)> {
        // The manual's configuration file is this one.
        let line = line.replace(CONFIG, "/run/lab/config.toml").replace("/tmp/", "/run/lab/");
        let output = self.pairs.us.output(&["sh", "-c", &shell(&self.bin, &line)])?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
    }

    /// Runs a line that must succeed and print this.
    fn prints(&self, line: &str, expected: &[&str]) -> Result<()> {
        let (status, out, err) = self.line(line)?;
        assert_eq!(status, 0, "{line}: {out}{err}");
        for text in expected {
            assert!(out.contains(text), "{line}: {text} in\n{out}");
        }
        Ok(())
    }
}

/// Not there yet, and therefore not here: `systemctl` and `journalctl` (the lab has no systemd), and a dump by
/// `mrt-dump`, of which only the refusal is tried.
#[test]
fn each_command_line_does_what_the_manual_says() -> Result<()> {
    Lab::run(|lab| {
        let stage = Stage::start(lab)?;
        stage.prints("rustbgpctl rib add 10.0.0.0/24 --nexthop 10.0.0.9", &["10.0.0.0/24 injected"])?;

        stage.prints("rustbgpctl neighbor", &["10.0.0.2", "65002", "Established"])?;
        stage.prints("rustbgpctl health", &["Healthy:            yes", "Established peers:  1"])?;
        stage.prints("rustbgpctl rib", &["10.0.0.0/24", "injected"])?;
        stage.prints("rustbgpctl rib received 10.0.0.2", &["no such routes"])?;
        stage.prints("rustbgpctl rib --prefix 10.0.0.0/24 --explain", &["10.0.0.0/24"])?;
        stage.prints("rustbgpctl neighbor 10.0.0.2 softreset", &["10.0.0.2"])?;
        let add = "rustbgpctl neighbor 10.0.0.5 add --asn 65005 --description \"new-peer\"";
        stage.prints(add, &["10.0.0.5"])?;
        assert!(stage.pairs.us.read("config.toml")?.contains("new-peer"), "persisted");
        stage.prints("rustbgpctl neighbor 10.0.0.5 delete", &["10.0.0.5"])?;
        assert!(!stage.pairs.us.read("config.toml")?.contains("new-peer"), "removed from the file");
        stage.prints("rustbgpctl neighbor 10.0.0.2 disable --reason \"maintenance\"", &["disabled"])?;
        stage.prints("rustbgpctl neighbor", &["Idle (disabled)"])?;
        stage.prints("rustbgpctl neighbor 10.0.0.2 enable", &["enabled"])?;
        let (status, out, err) = stage.line("rustbgpctl mrt-dump")?;
        assert_eq!((status, out.as_str()), (1, ""), "{err}");
        assert!(err.contains("does not implement it yet"), "{err}");
        Ok(())
    })
}

/// Checks and previews of files, and a reload by signal.
#[test]
fn files_are_checked_compared_and_reloaded() -> Result<()> {
    Lab::run(|lab| {
        let mut stage = Stage::start(lab)?;
        stage.prints("rustbgpd --check /etc/rustbgpd/config.toml", &["config OK"])?;
        let file = stage.pairs.us.read("config.toml")?;
        stage.pairs.us.write("new-config.toml", &file)?;
        let diff = "rustbgpd --diff /tmp/new-config.toml /etc/rustbgpd/config.toml";
        stage.prints(diff, &[])?;
        let more = "[[neighbors]]\naddress = \"10.0.0.7\"\nremote_asn = 65007\n";
        stage.pairs.us.write("new-config.toml", format!("{file}\n{more}"))?;
        for line in [diff.to_owned(), format!("{diff} --json")] {
            let (status, out, err) = stage.line(&line)?;
            assert_eq!(status, 1, "{out}{err}");
            assert!(out.contains("10.0.0.7"), "{out}");
        }
        assert_eq!(stage.line("rustbgpd --diff /tmp/missing.toml /etc/rustbgpd/config.toml")?.0, 2);

        // The manual's own example, line by line.
        stage.pairs.us.write("wrong.toml", file.replace("hold_time = 90", "hold_time = 2"))?;
        let (status, _, err) = stage.line("rustbgpd --check /tmp/wrong.toml")?;
        assert_eq!(status, 1);
        assert!(err.contains("hold_time") && err.contains("must be 0 or >= 3") && err.contains('^'), "{err}");

        stage.pairs.us.write("config.toml", format!("{file}\n{more}"))?;
        stage.prints("kill -HUP $(pidof rustbgpd)", &[])?;
        wait("the new neighbor", 10, || Ok(stage.daemon.ctl(&["neighbor"])?.contains("10.0.0.7")))?;
        stage.daemon.process().wait_log("config reloaded", 5)
    })
}

#[test]
fn top_at_the_usual_and_at_another_interval() -> Result<()> {
    Lab::run(|lab| {
        let stage = Stage::start(lab)?;
        let terminal = Terminal::open(&stage.pairs.us, "manual", 80, 24)?;
        for line in ["rustbgpctl top", "rustbgpctl top -i 5"] {
            terminal.command(&shell(&stage.bin, line))?;
            terminal.shows("Sessions 1 of 1 up")?;
            terminal.text("h")?;
            terminal.shows("any key closes this")?;
            terminal.text("q")?;
            terminal.wait("the prompt", |screen| screen.trim_end().ends_with('$'))?;
            terminal.command("clear")?;
            terminal.wait("an empty screen", |screen| screen.trim_end() == "$")?;
        }
        Ok(())
    })
}

#[test]
fn shutdown_ends_the_daemon_in_order() -> Result<()> {
    Lab::run(|lab| {
        let mut stage = Stage::start(lab)?;
        stage.prints("rustbgpctl shutdown", &["shutting down"])?;
        assert!(stage.daemon.process().wait_end(10)?.success());
        let (status, _, err) = stage.line("rustbgpctl neighbor")?;
        assert_eq!(status, 1);
        assert!(err.contains("Is rustbgpd running"), "{err}");
        Ok(())
    })
}
