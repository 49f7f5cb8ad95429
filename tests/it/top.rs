//! `rustbgpctl top` in a terminal, with a real daemon.

use bgpbench::bgp;
use lab::{Lab, Neighbor, Pairs, Result, Rustbgpd, Speaker, Terminal, binary};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const US: u32 = 65001;
const TRANSIT: u8 = 61;
const CUSTOMER: u8 = 62;
const ABSENT: u8 = 63;

fn asn(n: u8) -> u32 {
    65100 - u32::from(n)
}

fn neighbor(n: u8, description: &str) -> Neighbor {
    Neighbor::new(&Pairs::theirs(n).to_string(), asn(n))
        .set("description", format!("{description:?}"))
        .set("hold_time", 90)
        .set("passive", n != ABSENT)
}

/// Where the lines of these neighbors are, from the top.
fn order(screen: &str) -> Vec<u8> {
    let of = |line: &str| {
        [TRANSIT, CUSTOMER, ABSENT].into_iter().find(|n| line.starts_with(&Pairs::theirs(*n).to_string()))
    };
    screen.lines().filter_map(of).collect()
}

struct Stage {
    pairs: Pairs,
    daemon: Rustbgpd,
    speakers: Vec<Speaker>,
}

impl Stage {
    fn start(lab: &Lab) -> Result<Self> {
        let pairs = Pairs::new(lab, &[TRANSIT, CUSTOMER, ABSENT])?;
        let neighbors =
            [neighbor(TRANSIT, "big transit"), neighbor(CUSTOMER, "a customer"), neighbor(ABSENT, "nobody")];
        let daemon = Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", &neighbors))?;
        let mut stage = Stage { pairs, daemon, speakers: Vec::new() };
        stage.connect()?;
        Ok(stage)
    }

    fn connect(&mut self) -> Result<()> {
        self.speakers.clear();
        for n in [TRANSIT, CUSTOMER] {
            self.speakers.push(Speaker::establish(
                &self.pairs.peer,
                Pairs::port(n),
                asn(n),
                90,
                [10, 0, 0, n],
            )?);
        }
        self.daemon.wait_established(&[Pairs::theirs(TRANSIT), Pairs::theirs(CUSTOMER)])
    }

    /// A terminal in which it runs, with this before the command.
    fn top(&self, name: &str, columns: u16, lines: u16, before: &str) -> Result<Terminal> {
        let terminal = Terminal::open(&self.pairs.us, name, columns, lines)?;
        self.run(&terminal, before)?;
        Ok(terminal)
    }

    fn run(&self, terminal: &Terminal, before: &str) -> Result<()> {
        let program = binary("rustbgpctl")?;
        let address = "unix:///run/rustbgpd/grpc.sock";
        terminal.command("clear")?;
        terminal.command(&format!("{before} {} -s {address} top -i 0.2", program.display()))?;
        terminal.shows("Sessions 2 of 3 up").map(drop)
    }
}

/// The shell has its terminal back as it was.
fn given_back(terminal: &Terminal, status: &str) -> Result<()> {
    terminal.wait("the prompt", |screen| screen.trim_end().ends_with('$') && !screen.contains("Sessions"))?;
    terminal.command("echo status $?; stty -a")?;
    let screen = terminal.wait("settings", |screen| screen.contains("echoke"))?;
    assert!(screen.contains(status) && screen.contains(" icanon ") && screen.contains(" echo "), "{screen}");
    Ok(())
}

#[test]
fn sessions_are_sorted_filtered_and_looked_into() -> Result<()> {
    Lab::run(|lab| {
        let stage = Stage::start(lab)?;
        let terminal = stage.top("keys", 80, 24, "")?;
        let screen = terminal.shows("10.0.63.2")?;
        assert_eq!(order(&screen), [TRANSIT, CUSTOMER, ABSENT], "{screen}");
        assert!(screen.lines().count() <= 24 && screen.lines().all(|l| l.chars().count() <= 80), "{screen}");
        for expected in
            ["AS 65001  10.0.0.1  up", "parent ", "session ", "rde ", "control ", "VRPs 0 v4 0 v6", "q quit"]
        {
            assert!(screen.contains(expected), "{expected} in\n{screen}");
        }
        let line =
            |n: u8| screen.lines().find(|l| l.starts_with(&Pairs::theirs(n).to_string())).unwrap_or_default();
        assert!(
            line(TRANSIT).contains("65039 Established") && line(TRANSIT).ends_with("big transit"),
            "{screen}"
        );
        assert!(!line(ABSENT).contains("Established"), "{screen}");

        terminal.text("s")?;
        assert_eq!(order(&terminal.shows("AS▲")?), [ABSENT, CUSTOMER, TRANSIT]);
        terminal.text("r")?;
        assert_eq!(order(&terminal.shows("AS▼")?), [TRANSIT, CUSTOMER, ABSENT]);

        terminal.text("/CUSTOMER")?;
        assert_eq!(order(&terminal.shows("1 of 1, filtered from 3")?), [CUSTOMER]);
        terminal.key("Enter")?;
        terminal.shows("filter: CUSTOMER  esc ends it")?;
        terminal.key("Enter")?;
        let screen = terminal.shows(" 10.0.62.2 a customer ")?;
        for expected in ["Established for", "90 s negotiated", "10.0.0.62"] {
            assert!(screen.contains(expected), "{expected} in\n{screen}");
        }
        terminal.key("End")?;
        terminal.shows("KEEPALIVE")?;
        terminal.key("Escape")?;
        terminal.shows("filtered from 3")?;
        terminal.key("Escape")?;
        terminal.shows("Sessions: 2 of 3 ")?;

        terminal.text("h")?;
        terminal.shows("sort by the next column")?;
        terminal.key("Escape")?;
        terminal.resize(160, 50)?;
        terminal.shows("Last error")?;
        terminal.resize(60, 10)?;
        terminal.wait("a low screen", |s| !s.contains("Events") && order(s).len() == 3)?;

        terminal.resize(80, 24)?;
        terminal.text("q")?;
        given_back(&terminal, "status 0")
    })
}

#[test]
fn the_terminal_is_given_back_on_signals() -> Result<()> {
    Lab::run(|lab| {
        let stage = Stage::start(lab)?;
        let terminal = stage.top("signals", 100, 40, "")?;
        terminal.key("C-c")?;
        given_back(&terminal, "status 0")?;
        for signal in ["TERM", "INT"] {
            stage.run(&terminal, "")?;
            stage.pairs.us.sh("kill -s \"$1\" $(pidof rustbgpctl)", &[signal])?;
            given_back(&terminal, "status 0")?;
        }
        Ok(())
    })
}

#[test]
fn what_happens_is_told_and_a_restart_is_survived() -> Result<()> {
    Lab::run(|lab| {
        let mut stage = Stage::start(lab)?;
        let terminal = stage.top("events", 120, 40, "")?;
        // Cease, Administrative Reset, of the customer.
        let mut notification = vec![0xff; 16];
        notification.extend([0, 21, bgp::NOTIFICATION, 6, 4]);
        stage.speakers[1].send(&notification)?;
        terminal.shows("10.0.62.2 (a customer) is down: ")?;
        stage.connect()?;
        terminal.shows("10.0.62.2 (a customer) is up, AS 65038")?;

        stage.daemon.ctl(&["rib", "add", "10.99.0.0/24", "--nexthop", "10.0.61.2"])?;
        terminal.shows("10.99.0.0/24 added, injected")?;
        stage.daemon.ctl(&["rib", "delete", "10.99.0.0/24"])?;
        terminal.shows("10.99.0.0/24 withdrawn, was injected")?;

        let rde = stage.daemon.engine("rde")?;
        kill(Pid::from_raw(i32::try_from(rde).map_err(|e| e.to_string())?), Signal::SIGKILL)?;
        terminal.shows("rde was restarted by the daemon")?;
        terminal.shows("restarted 1x")?;

        assert!(stage.daemon.process().stop()?.success());
        let screen = terminal.shows("disconnected for ")?;
        assert!(screen.contains("retrying: ") && screen.contains("big transit"), "{screen}");
        stage.daemon.start_again()?;
        let back =
            |screen: &str| screen.contains("the daemon was started anew") && !screen.contains("disconnected");
        let screen = terminal.wait("the daemon again", back)?;
        assert!(screen.contains("the daemon answers again"), "{screen}");
        stage.connect()?;
        terminal.shows("Sessions 2 of 3 up")?;
        terminal.text("q")?;
        given_back(&terminal, "status 0")
    })
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() -> Result<()> {
    // Foreground and background colours; bold, dim and reverse are none.
    let colors = |screen: &str| {
        let codes = screen.split("\x1b[").skip(1).filter_map(|s| s.split_once('m'));
        let numbers = codes.flat_map(|(codes, _)| codes.split(';').collect::<Vec<_>>());
        numbers
            .filter_map(|n| n.parse().ok())
            .filter(|n| matches!(n, 30..=38_u8 | 40..=48 | 90..=107))
            .count()
    };
    Lab::run(|lab| {
        let stage = Stage::start(lab)?;
        assert!(colors(&stage.top("colours", 80, 24, "")?.colored()?) > 0);
        let plain = stage.top("plain", 80, 24, "NO_COLOR=1")?.colored()?;
        assert_eq!(colors(&plain), 0, "{plain:?}");
        Ok(())
    })
}

/// What to do instead is said, and no escape sequences go into a pipe.
#[test]
fn without_a_terminal_it_says_what_to_use() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[ABSENT])?;
        let program = binary("rustbgpctl")?;
        let output = pairs.us.output(&[&*program.to_string_lossy(), "top"])?;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        assert!(String::from_utf8_lossy(&output.stderr).contains("rustbgpctl -j neighbor"));
        // No daemon: as any other command, before the screen is touched.
        let terminal = Terminal::open(&pairs.us, "alone", 80, 24)?;
        terminal.command(&format!("{} top", program.display()))?;
        terminal.shows("Is rustbgpd running").map(drop)
    })
}
