//! The dashboard without a terminal: what it shows of what the daemon said, and what keys change.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use grpc::v1::{
    FamilyTables, GlobalState, MessageCounts, NeighborConfig, NeighborState, Process, RibSummaryResponse,
    RouteEvent,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::events::Event;
use super::keys::press;
use super::model::{App, Snapshot, Update, View};
use super::{look, render};

const IDLE: i32 = 1;
const ESTABLISHED: i32 = 6;
/// 2026-11-23 03:00:00.
const CLOCK: u64 = 1_795_402_800_000;

fn neighbor(address: &str, asn: u32, description: &str, state: i32) -> NeighborState {
    let config = NeighborConfig {
        address: address.into(),
        remote_asn: asn,
        description: description.into(),
        hold_time: 90,
        families: vec!["ipv4_unicast".into()],
        max_prefixes: 1000,
        ..NeighborConfig::default()
    };
    NeighborState { config: Some(config), state, ..NeighborState::default() }
}

fn up(address: &str, asn: u32, description: &str, uptime: u64, received: u64) -> NeighborState {
    NeighborState {
        uptime_seconds: uptime,
        prefixes_received: received,
        prefixes_sent: 12,
        negotiated_hold_time: 90,
        keepalive_interval: 30,
        capabilities_received: vec!["route refresh".into(), format!("4-octet AS {asn}")],
        messages_received: Some(MessageCounts::default()),
        messages_sent: Some(MessageCounts::default()),
        ..neighbor(address, asn, description, ESTABLISHED)
    }
}

/// What the daemon said so many seconds after the beginning.
fn snapshot(second: u64, neighbors: Vec<NeighborState>) -> Snapshot {
    let process = |name: &str, pid, mib: u64| Process {
        name: name.into(),
        pid,
        uptime_seconds: 3_700 + second,
        cpu_milliseconds: Some(1_000 + 250 * second),
        resident_bytes: Some(mib << 20),
        threads: Some(1),
        restarts: 0,
        sandbox: Vec::new(),
    };
    let tables = FamilyTables {
        family: "ipv4_unicast".into(),
        loc_rib_prefixes: 1_178_137,
        adj_rib_in_routes: 2_000_000,
        adj_rib_out_routes: 5,
    };
    Snapshot {
        at: Duration::from_secs(second),
        time_ms: CLOCK + 1000 * second,
        global: GlobalState { asn: 64999, router_id: "192.0.2.254".into(), ..GlobalState::default() },
        neighbors,
        processes: vec![
            process("parent", 70, 8),
            process("session", 71, 20),
            process("rde", 72, 1536),
            process("control", 73, 12),
        ],
        summary: RibSummaryResponse { families: vec![tables], ..RibSummaryResponse::default() },
        vrps: Some((0, 0)),
    }
}

fn three() -> Vec<NeighborState> {
    vec![
        up("192.0.2.1", 65001, "transit", 3_700, 1_178_137),
        NeighborState {
            last_error: "hold timer expired".into(),
            ..neighbor("192.0.2.9", 65009, "customer nine", IDLE)
        },
        up("2001:db8::1", 4_200_000_000, "", 90, 7),
    ]
}

fn app(snapshots: Vec<Snapshot>) -> App {
    let mut app = App::new(true);
    snapshots.into_iter().for_each(|s| app.apply(Update::Snapshot(Box::new(s))));
    app
}

fn keys(app: &mut App, text: &str) -> bool {
    text.chars().fold(false, |_, c| {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '↓' => KeyCode::Down,
            '↑' => KeyCode::Up,
            c => KeyCode::Char(c),
        };
        press(app, KeyEvent::new(code, KeyModifiers::NONE))
    })
}

fn terminal(app: &mut App, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render::draw(app, Duration::from_secs(100), frame)).unwrap();
    terminal
}

/// The screen's lines, without blanks at their ends.
fn screen(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let terminal = terminal(app, width, height);
    let buffer = terminal.backend().buffer();
    let cells = |y| (0..width).map(move |x| buffer[(x, y)].symbol());
    (0..height).map(|y| cells(y).collect::<String>().trim_end().to_owned()).collect()
}

fn order(app: &App) -> Vec<String> {
    app.rows().iter().map(|n| n.config.as_ref().unwrap().address.clone()).collect()
}

#[test]
fn all_fits_eighty_columns_and_twentyfour_lines() {
    let mut later = three();
    later[0].prefixes_received += 5_000;
    later[0].updates_received = 400;
    later[0].messages_received =
        Some(MessageCounts { update: 400, keepalive: 1, ..MessageCounts::default() });
    let mut app = app(vec![snapshot(0, three()), snapshot(2, later)]);
    let expected = "\
rustbgpd  AS 64999  192.0.2.254  up 1h 01m  03:00:02
Sessions 2 of 3 up  Best 1.18M  In 2.00M  Out 5  VRPs 0 v4 0 v6
Messages/s 201 in 0 out  UPDATEs/s 200 in 0 out  Routes/s +2500
parent 8.0M 25%  session 20.0M 25%  rde 1.5G 25%  control 12.0M 25%
 Sessions: 1 of 3 ──────────────────────────────────────────────────────────────
Neighbor▲           AS State       Uptime  Rcvd Sent In/s Out/s Description
192.0.2.1        65001 Established 1h 01m 1.18M   12  201     0 transit
192.0.2.9        65009 Idle             -     0    0    0     0 customer nine
2001:db8::1 4200000000 Established 1m 30s     7   12    0     0








 Events ────────────────────────────────────────────────────────────────────────





q quit  h keys  s sort  r reverse  / filter  enter details  e events";
    assert_eq!(screen(&mut app, 80, 24).join("\n"), expected);
}

#[test]
fn a_wide_screen_shows_more() {
    let mut app = app(vec![snapshot(0, three()), snapshot(2, three())]);
    let lines = screen(&mut app, 160, 40);
    for title in ["Upd in/s", "Routes/s", "Flaps", "Description", "Last error"] {
        assert!(lines[5].contains(title), "{title}: {}", lines[5]);
    }
    assert!(lines[7].ends_with("hold timer expired"), "{}", lines[7]);
    assert!(lines[1].contains("UPDATEs/s, both ways, at most 0"), "{}", lines[1]);
}

#[test]
fn long_addresses_leave_room_and_low_screens_show_sessions() {
    let long = up("2001:db8:1111:2222:3333:4444:5555:6666", 4_200_000_000, "a very long description", 9, 7);
    let mut app = app(vec![snapshot(0, vec![long])]);
    let lines = screen(&mut app, 80, 24);
    assert!(lines[6].starts_with("2001:db8:1111:22"), "{}", lines[6]);
    assert!(lines[6].contains('…') && lines[6].contains("Established"), "{}", lines[6]);
    for (width, height) in [(80, 10), (40, 6), (20, 4), (5, 2), (1, 1), (300, 100)] {
        screen(&mut app, width, height);
        keys(&mut app, "\n");
        screen(&mut app, width, height);
        keys(&mut app, "h");
        screen(&mut app, width, height);
        keys(&mut app, "\x1b\x1b");
    }
    assert!(screen(&mut app, 80, 10)[2].starts_with("Neighbor"), "the table begins at once");
}

#[test]
fn sessions_are_sorted_by_each_column_and_reversed() {
    let mut app = app(vec![snapshot(0, three())]);
    assert_eq!(order(&app), ["192.0.2.1", "192.0.2.9", "2001:db8::1"]);
    keys(&mut app, "r");
    assert_eq!(order(&app), ["2001:db8::1", "192.0.2.9", "192.0.2.1"]);
    // AS, state (what is down first), uptime and received (the largest first).
    for (first, last) in [
        ("192.0.2.1", "2001:db8::1"),
        ("192.0.2.9", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.9"),
        ("192.0.2.1", "192.0.2.9"),
    ] {
        keys(&mut app, "s");
        assert_eq!((order(&app)[0].as_str(), order(&app)[2].as_str()), (first, last), "{:?}", app.sort);
    }
    assert!(screen(&mut app, 80, 24)[5].contains("Rcvd▼"));
    keys(&mut app, "SSSS");
    assert_eq!(order(&app)[0], "192.0.2.1");
}

#[test]
fn the_selection_stays_with_its_neighbor() {
    let mut app = app(vec![snapshot(0, three())]);
    keys(&mut app, "jj");
    assert_eq!(app.selected.as_deref(), Some("2001:db8::1"));
    keys(&mut app, "r");
    assert_eq!(app.cursor(&app.rows()), 0);
    assert!(screen(&mut app, 80, 24)[4].contains("Sessions: 1 of 3"));
    keys(&mut app, "↑↑");
    assert_eq!(app.selected.as_deref(), Some("2001:db8::1"), "not beyond the end");
    keys(&mut app, "G");
    assert_eq!(app.selected.as_deref(), Some("192.0.2.1"));
}

#[test]
fn a_filter_looks_at_address_as_state_and_description() {
    let mut app = app(vec![snapshot(0, three())]);
    for (filter, left) in
        [("NINE", "192.0.2.9"), ("as4200", "2001:db8::1"), ("idle", "192.0.2.9"), ("db8", "2001:db8::1")]
    {
        keys(&mut app, "/");
        keys(&mut app, filter);
        assert_eq!(order(&app), [left], "{filter}");
        let lines = screen(&mut app, 80, 24);
        assert!(lines[23].starts_with(&format!("filter: {filter}")), "{}", lines[23]);
        keys(&mut app, "\n");
        let lines = screen(&mut app, 80, 24);
        assert!(lines[4].contains("1 of 1, filtered from 3") && lines[23].contains("filter: "), "{lines:?}");
        keys(&mut app, "\x1b");
        assert_eq!(order(&app).len(), 3);
    }
    keys(&mut app, "/nobody");
    assert!(screen(&mut app, 80, 24)[4].contains("none of 3 matches"));
    assert!(!keys(&mut app, "q"), "a letter of the filter");
}

#[test]
fn a_neighbor_is_shown_in_full_and_scrolled() {
    let mut app = app(vec![snapshot(0, three())]);
    keys(&mut app, "\n");
    let lines = screen(&mut app, 80, 24);
    assert!(lines[4].starts_with(" 192.0.2.1 transit "), "{lines:?}");
    for expected in [
        "Established for 1h 01m",
        "90 s negotiated",
        "every 30 s",
        "4-octet AS 65001",
        "at most 1000 prefixes",
    ] {
        assert!(lines.iter().any(|l| l.contains(expected)), "{expected}: {lines:?}");
    }
    assert!(!lines.iter().any(|l| l.contains("KEEPALIVE")));
    keys(&mut app, "G");
    let lines = screen(&mut app, 80, 24);
    for expected in [
        "KEEPALIVE",
        "Messages/s:           0 in, 0 out; UPDATEs 0 in, 0 out; routes 0",
        "none since this began",
    ] {
        assert!(lines.iter().any(|l| l.contains(expected)), "{expected}: {lines:?}");
    }
    let View::Neighbor { line, .. } = app.view else { panic!("{:?}", app.view) };
    assert!(line < 100, "corrected to what there is");
    keys(&mut app, "n");
    assert!(screen(&mut app, 80, 24)[4].starts_with(" 192.0.2.9 customer nine "));
    // On a wide screen the counters are beside it.
    let lines = screen(&mut app, 160, 40);
    assert!(lines.iter().any(|l| l.contains("Families:") && l.contains("Received")), "{lines:?}");
    app.apply(Update::Snapshot(Box::new(snapshot(2, vec![three().remove(0)]))));
    assert!(screen(&mut app, 80, 24)[4].contains("not there any more"));
    keys(&mut app, "\x1b");
    assert_eq!(app.view, View::Sessions);
}

#[test]
fn what_happened_between_two_answers_is_told() {
    let mut other = three();
    other[0] = NeighborState {
        last_error: "received NOTIFICATION Cease/Administrative Reset (6/4)".into(),
        flap_count: 1,
        ..neighbor("192.0.2.1", 65001, "transit", IDLE)
    };
    other[1] = up("192.0.2.9", 65009, "customer nine", 1, 5);
    other[2].flap_count = 1;
    other[2].uptime_seconds = 1;
    other.push(neighbor("203.0.113.1", 65010, "", IDLE));
    let mut second = snapshot(2, other);
    second.processes[2].pid = 99;
    second.processes[2].restarts = 1;
    let mut third = snapshot(4, three());
    third.neighbors[1].disabled = true;
    let mut app = app(vec![snapshot(0, three()), second, third]);
    let told: Vec<String> = app
        .log
        .newest(None)
        .iter()
        .rev()
        .map(|e| format!("{} {:?} {}", e.time_ms - CLOCK, e.kind, e.text))
        .collect();
    assert_eq!(
        told,
        [
            "2000 Bad rde was restarted by the daemon",
            "2000 Bad 192.0.2.1 (transit) is down: received NOTIFICATION Cease/Administrative Reset (6/4)",
            "2000 Good 192.0.2.9 (customer nine) is up, AS 65009",
            "2000 Bad 2001:db8::1 was down and is up again",
            "2000 Note 203.0.113.1 was added",
            "4000 Note 203.0.113.1 was deleted",
            "4000 Good 192.0.2.1 (transit) is up, AS 65001",
            "4000 Bad 192.0.2.9 (customer nine) is down: hold timer expired",
            "4000 Note 192.0.2.9 (customer nine) was disabled",
        ]
    );
    keys(&mut app, "e");
    let lines = screen(&mut app, 80, 24);
    assert_eq!(lines[5], "03:00:04 192.0.2.9 (customer nine) was disabled");
    keys(&mut app, "e");
    assert_eq!(screen(&mut app, 80, 24)[18], "03:00:04 192.0.2.9 (customer nine) was disabled");
}

#[test]
fn events_of_routes_are_told_apart_and_bounded() {
    let mut app = app(vec![snapshot(0, three())]);
    let event = |n: u64, kind: i32| RouteEvent {
        event_type: kind,
        prefix: format!("10.0.{n}.0"),
        prefix_length: 24,
        peer_address: "192.0.2.1".into(),
        previous_peer_address: if kind == 3 { "192.0.2.9".into() } else { String::new() },
        ..RouteEvent::default()
    };
    app.apply(Update::Lost { at: Duration::from_secs(1), time_ms: CLOCK + 1, reason: "gone".into() });
    for n in 0..2_000 {
        app.apply(Update::Route(Event::route(CLOCK + 2 + n, &event(n, 1))));
    }
    for kind in [2, 3] {
        app.apply(Update::Route(Event::route(CLOCK + 9_000 + kind as u64, &event(7, kind))));
    }
    let all = app.log.newest(None);
    assert_eq!(all[0].text, "10.0.7.0/24 changed, from 192.0.2.1, before that from 192.0.2.9");
    assert_eq!(all[1].text, "10.0.7.0/24 withdrawn, was from 192.0.2.1");
    assert!(all.len() < 1_000 && all.last().unwrap().text.contains("no answer"), "{}", all.len());
    assert!(app.log.newest(Some("192.0.2.9")).is_empty() && app.log.newest(Some("192.0.2.1")).len() == 500);
    // However many routes change, what sessions did stays in sight.
    let lines = screen(&mut app, 80, 24);
    assert!(lines[18].contains("10.0.7.0/24 changed") && lines[22].contains("no answer"), "{lines:?}");
    keys(&mut app, "t");
    assert_eq!(app.log.newest(None).len(), 1);
    keys(&mut app, "t");
    app.apply(Update::Routes("this rustbgpd does not tell of them".into()));
    let lines = screen(&mut app, 80, 24);
    assert!(lines[17].contains("without routes: this rustbgpd does not tell of them"), "{lines:?}");
}

#[test]
fn a_daemon_that_is_away_is_said_to_be_and_comes_back() {
    let mut app = app(vec![snapshot(0, three()), snapshot(2, three())]);
    let lost = |at| Update::Lost {
        at: Duration::from_secs(at),
        time_ms: CLOCK,
        reason: "connection refused".into(),
    };
    app.apply(lost(70));
    app.apply(lost(71));
    let lines = screen(&mut app, 80, 24);
    assert!(lines[0].ends_with("  disconnected for 30s, retrying: connection refu"), "{}", lines[0]);
    assert!(lines[6].starts_with("192.0.2.1"), "what was known stays: {lines:?}");
    assert_eq!(app.log.newest(None).len(), 1, "told once");
    // Other processes, counters that begin anew.
    let mut back = snapshot(90, three());
    back.processes.iter_mut().for_each(|p| p.pid += 100);
    app.apply(Update::Snapshot(Box::new(back)));
    let lines = screen(&mut app, 80, 24);
    assert!(!lines[0].contains("disconnected"), "{}", lines[0]);
    let events: Vec<&str> = app.log.newest(None).iter().map(|e| e.text.as_str()).collect();
    assert_eq!(events[..2], ["the daemon was started anew", "the daemon answers again"]);
}

/// Counters that are less than before do not make rates of 2^64.
#[test]
fn counters_that_begin_anew_make_no_rates() {
    let mut before = three();
    before[0].updates_received = 1_000_000;
    let app = app(vec![snapshot(0, before), snapshot(2, three())]);
    assert_eq!((app.total.updates_in, app.total.messages_in), (0.0, 0.0));
}

#[test]
fn colours_have_meanings_and_none_where_they_are_not_wanted() {
    let mut app = app(vec![snapshot(0, three())]);
    let colors = |app: &mut App| -> Vec<Color> {
        let terminal = terminal(app, 80, 24);
        let state = |y| terminal.backend().buffer()[(23, y)].fg;
        vec![state(6), state(7)]
    };
    assert_eq!(colors(&mut app), [Color::Green, Color::Red]);
    app.color = false;
    let terminal = terminal(&mut app, 80, 24);
    let plain = |c: Color| c == Color::Reset;
    assert!(terminal.backend().buffer().content.iter().all(|c| plain(c.fg) && plain(c.bg)));
}

#[test]
fn help_is_shown_and_q_quits() {
    let mut app = app(vec![snapshot(0, three())]);
    assert!(!keys(&mut app, "h"));
    let lines = screen(&mut app, 80, 24);
    assert!(lines.iter().any(|l| l.contains("sort by the next column")), "{lines:?}");
    assert!(!keys(&mut app, "x") && !app.help);
    assert!(keys(&mut app, "q"));
    assert!(press(&mut app, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

#[test]
fn numbers_fit() {
    for (n, text) in [(0, "0"), (9_999, "9999"), (12_345, "12.3k"), (999_999, "1000k"), (1_178_137, "1.18M")]
    {
        assert_eq!(look::count(n), text);
    }
    for (n, text) in [(0.0, "0"), (0.5, "0.5"), (-3.0, "-3.0"), (120.4, "120"), (-20_000.0, "-20.0k")] {
        assert_eq!(look::rate(n), text);
    }
}
