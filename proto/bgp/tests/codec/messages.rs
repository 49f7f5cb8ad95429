//! Messages that other projects collected: from captures, from their tests, from their fuzzers. None may do
//! harm, and well-formed ones are accepted.

use std::path::Path;

use bgp::header::{self, HEADER_LEN, MessageType};
use bgp::notification::Notification;
use bgp::open::Open;
use bgp::refresh::RouteRefresh;
use bgp::update::ReadContext;
use bgp::{Family, FamilySet};

use crate::mrt::{files, read};
use crate::properties::examine_update;

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().as_chunks::<2>().0;
    (text.len().is_multiple_of(2) && !text.is_empty())
        .then(|| pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect())?
}

/// The BGP messages and bodies of a file: in which field the hex is depends on the file.
fn messages(path: &Path) -> Vec<Vec<u8>> {
    let text = String::from_utf8(read(path)).unwrap();
    text.lines().flat_map(|line| line.split('|').filter_map(unhex)).collect()
}

/// Every combination of what an UPDATE's reading depends on.
fn contexts() -> impl Iterator<Item = ReadContext> {
    (0..8u8).map(|n| {
        let families: FamilySet = Family::ALL.into_iter().collect();
        ReadContext {
            four_octet_as: n & 1 != 0,
            external: n & 2 != 0,
            families,
            add_path: if n & 4 != 0 { families } else { FamilySet::EMPTY },
        }
    })
}

/// How many messages of a kind there were, and how many were accepted in some context.
#[derive(Default, Debug)]
struct Tally {
    seen: usize,
    accepted: usize,
}

impl Tally {
    fn add(&mut self, accepted: bool) {
        self.seen += 1;
        self.accepted += usize::from(accepted);
    }
}

#[test]
fn collected_messages_do_no_harm_and_good_ones_are_accepted() {
    let (mut opens, mut updates, mut others) = (Tally::default(), Tally::default(), Tally::default());
    for path in files("messages").iter().filter(|p| !p.to_string_lossy().contains("bmp-")) {
        let list = messages(path);
        assert!(!list.is_empty(), "{}", path.display());
        for message in list {
            let head = message.first_chunk::<HEADER_LEN>().and_then(|h| header::parse(h, 65535).ok());
            let body = message.get(HEADER_LEN..).unwrap_or_default();
            let accepted_update =
                |body: &[u8]| contexts().filter(|ctx| examine_update(body, ctx).is_some()).count() > 0;
            match head.map(|h| h.kind) {
                Some(MessageType::Update) => updates.add(accepted_update(body)),
                Some(MessageType::Open) => opens.add(Open::decode(body).is_ok()),
                Some(MessageType::Notification) => others.add(Notification::decode(body).is_some()),
                Some(MessageType::RouteRefresh) => others.add(RouteRefresh::decode(body).is_ok()),
                Some(MessageType::Keepalive) => others.add(body.is_empty()),
                None => {
                    accepted_update(&message);
                    let _ = Open::decode(&message);
                }
            }
        }
    }
    println!("OPEN {opens:?}, UPDATE {updates:?}, others {others:?}");
    // What is not accepted comes from captures of malformed messages.
    assert!(opens.seen > 20 && opens.accepted * 10 > opens.seen * 9, "{opens:?}");
    assert!(updates.seen > 300 && updates.accepted * 10 > updates.seen * 8, "{updates:?}");
    assert!(others.seen > 40 && others.accepted * 10 > others.seen * 9, "{others:?}");
}
