//! What holds for any sequence of inputs.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bgp::{Family, Notification};
use common::*;
use fsm::{
    ConnId, Direction, Exceeded, HoldTime, Input, Outgoing, Output, Peer, PrefixLimits, Settings, State,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Start,
    Stop,
    Configure { hold: u16, passive: bool },
    Wait(u16),
    Timer,
    Connected { attempt: u32 },
    ConnectFailed { attempt: u32 },
    Accepted,
    Lost { conn: u32 },
    Message { conn: u32, kind: u8, body: Vec<u8> },
    Open { conn: u32, identifier: u32 },
    Fault { conn: u32 },
    Alive { conn: u32 },
    Taken { conn: u32, ago: u16 },
    OverLimit { limit: u32 },
    Release,
}

fn event() -> impl Strategy<Value = Event> {
    let conn = 0..12_u32;
    prop_oneof![
        3 => Just(Event::Start),
        1 => Just(Event::Stop),
        1 => (prop_oneof![Just(0), 3..200_u16], any::<bool>())
            .prop_map(|(hold, passive)| Event::Configure { hold, passive }),
        4 => (0..200_u16).prop_map(Event::Wait),
        4 => Just(Event::Timer),
        4 => (0..8_u32).prop_map(|attempt| Event::Connected { attempt }),
        1 => (0..8_u32).prop_map(|attempt| Event::ConnectFailed { attempt }),
        4 => Just(Event::Accepted),
        1 => conn.clone().prop_map(|conn| Event::Lost { conn }),
        3 => (conn.clone(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(conn, kind, body)| Event::Message { conn, kind, body }),
        6 => conn.clone().prop_map(|conn| Event::Message { conn, kind: KEEPALIVE, body: vec![] }),
        6 => (conn.clone(), 1..4_u32).prop_map(|(conn, identifier)| Event::Open { conn, identifier }),
        1 => conn.clone().prop_map(|conn| Event::Fault { conn }),
        2 => conn.clone().prop_map(|conn| Event::Alive { conn }),
        2 => (1..4_u32).prop_map(|limit| Event::OverLimit { limit }),
        1 => Just(Event::Release),
        2 => (conn, 0..600_u16).prop_map(|(conn, ago)| Event::Taken { conn, ago }),
    ]
}

/// Settings with a prefix limit of two.
fn limited() -> Settings {
    let restart = Some(Duration::from_secs(100));
    Settings { prefix_limits: PrefixLimits { received: Some(2), advertised: None, restart }, ..settings() }
}

/// Follows the outputs and asserts that they tell the truth.
#[derive(Default)]
struct Watch {
    live: BTreeSet<ConnId>,
    up: Option<ConnId>,
    notified: BTreeSet<ConnId>,
    /// When the last attempt to connect began that nobody ordered.
    attempted: Option<Instant>,
}

impl Watch {
    fn see(&mut self, now: Instant, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Send { conn, message } => {
                    assert!(self.live.contains(conn), "sends on a connection that is over");
                    assert!(!self.notified.contains(conn), "sends behind a NOTIFICATION");
                    if let Outgoing::Notification(_) = message {
                        self.notified.insert(*conn);
                    }
                }
                Output::Up { conn, session } => {
                    assert!(self.up.is_none(), "a second Established connection");
                    assert!(self.live.contains(conn));
                    assert!(!session.families.is_empty());
                    self.up = Some(*conn);
                }
                Output::End { conn, established, .. } => {
                    assert!(self.live.remove(conn), "ends what is over");
                    assert_eq!(*established, self.up == Some(*conn));
                    self.up.take_if(|c| c == conn);
                }
                Output::Connect { .. } => {
                    let least = settings().connect_retry * 3 / 4;
                    assert!(self.attempted.is_none_or(|at| now >= at + least), "connects in a hot loop");
                    self.attempted = Some(now);
                }
                Output::Abandon { .. } => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_sequence_of_inputs(seed: u64, events in prop::collection::vec(event(), 1..80)) {
        let mut now = Instant::now();
        let mut peer = Peer::new(limited(), seed);
        let mut watch = Watch::default();
        let mut next = 0;
        for event in events {
            let open;
            let input = match &event {
                Event::Start => Input::Start,
                Event::Stop => Input::Stop(Notification::cease(2)),
                Event::Configure { hold, passive } => Input::Configure(Settings {
                    hold_time: HoldTime::new(*hold).unwrap(),
                    passive: *passive,
                    ..if *passive { settings() } else { limited() }
                }),
                Event::Wait(seconds) => {
                    now += Duration::from_secs((*seconds).into());
                    Input::Timer
                }
                Event::Timer => {
                    now = peer.next_deadline().map_or(now, |d| d.max(now));
                    Input::Timer
                }
                Event::Connected { attempt } => {
                    watch.live.insert(ConnId(next));
                    next += 1;
                    Input::Connected { attempt: *attempt, conn: ConnId(next - 1) }
                }
                Event::ConnectFailed { attempt } => Input::ConnectFailed { attempt: *attempt },
                Event::Accepted => {
                    watch.live.insert(ConnId(next));
                    next += 1;
                    Input::Accepted(ConnId(next - 1))
                }
                Event::Lost { conn } => Input::Lost { conn: ConnId(*conn), error: "reset".to_owned() },
                Event::Message { conn, kind, body } => {
                    Input::Received { conn: ConnId(*conn), kind: *kind, body }
                }
                Event::Open { conn, identifier } => {
                    let mut message = peer_open();
                    // Below and above our own.
                    message.router_id = (0xc000_0200 + identifier - 2).into();
                    open = body(&message);
                    Input::Received { conn: ConnId(*conn), kind: OPEN, body: &open }
                }
                Event::Fault { conn } => Input::Fault {
                    conn: ConnId(*conn),
                    notification: Notification::update(1, vec![]),
                    detail: String::new(),
                },
                Event::OverLimit { limit } => {
                    let (direction, family) = (Direction::Received, Family::Ipv4Unicast);
                    Input::OverLimit(Exceeded { direction, family, limit: *limit })
                }
                Event::Release => Input::Release,
                Event::Alive { conn } => Input::Alive(ConnId(*conn)),
                Event::Taken { conn, ago } => Input::Taken {
                    conn: ConnId(*conn),
                    at: now.checked_sub(Duration::from_secs((*ago).into())).unwrap(),
                },
            };
            if matches!(event, Event::Start | Event::Configure { .. } | Event::Release) {
                watch.attempted = None;
            }
            let outputs = handle(&mut peer, now, input);
            watch.see(now, &outputs);
            prop_assert_eq!(watch.up, peer.established().map(|(c, _)| c));
            prop_assert_eq!(watch.up.is_some(), peer.state() == State::Established);
            prop_assert!(!peer.is_held() || peer.state() == State::Idle);
            prop_assert!(watch.live.len() <= 2, "more than two connections");
            if let Some(deadline) = peer.next_deadline() {
                // A timer is never left in the past once it was handled, or there would be a hot loop.
                let mut peer_due = deadline <= now;
                if peer_due {
                    watch.see(now, &handle(&mut peer, now, Input::Timer));
                    peer_due = peer.next_deadline().is_some_and(|d| d <= now);
                }
                prop_assert!(!peer_due, "a timer fires for ever");
            }
        }
    }

    #[test]
    fn rfc4271_6_5_a_silent_session_is_over_by_its_hold_time(seed: u64, hold in 3..=600_u16, theirs in 3..=600_u16) {
        let start = Instant::now();
        let mut peer = Peer::new(Settings { hold_time: HoldTime::new(hold).unwrap(), ..settings() }, seed);
        handle(&mut peer, start, Input::Start);
        handle(&mut peer, start, Input::Accepted(ConnId(0)));
        let mut open = peer_open();
        open.hold_time = theirs;
        receive(&mut peer, start, 0, OPEN, &body(&open));
        receive(&mut peer, start, 0, KEEPALIVE, &[]);
        prop_assert_eq!(peer.state(), State::Established);
        let least = Duration::from_secs(hold.min(theirs).into());
        while peer.state() == State::Established {
            let now = peer.next_deadline().unwrap();
            prop_assert!(now <= start + least);
            handle(&mut peer, now, Input::Timer);
            prop_assert_eq!(peer.state() == State::Established, now < start + least);
        }
    }
}
