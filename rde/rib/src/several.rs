//! Several paths of a prefix to the members of an update group (RFC 7911 §5): which ones, under which identifiers,
//! and what that changes for whom.
//!
//! A member is sent the best paths that are not from itself, as many as the group's limit says. So the members have
//! the first ones of the group's list in common, each without its own, and who is the source of some of these has some
//! more from behind them. What is common goes to the group, the rest to each on its own.

use smallvec::{SmallVec, smallvec};

use crate::attrs::AttrId;
use crate::column::Sent;
use crate::decide::{Candidate, rank};
use crate::entry::{Entry, To};
use crate::export::Treatment;
use crate::family::{Shared, candidate};
use crate::flush::Scratch;
use crate::group::Group;
use crate::paths::Path;
use crate::peers::PeerIdx;
use crate::sent_paths::{SentPath, release, sent};
use crate::slots::{Addr, Slots};

/// A list as it was, and where its paths are in the new one.
struct Before<'a> {
    list: &'a [SentPath],
    /// For each path of the new list, its place in the old one, if it was sent.
    was: SmallVec<[Option<usize>; 8]>,
    /// Places of paths that are not sent any more.
    gone: SmallVec<[usize; 8]>,
}

impl Group {
    /// Brings a prefix up to date; returns how many paths it looked at.
    pub(crate) fn batch_paths<A: Addr>(
        &mut self,
        shared: &mut Shared,
        slots: &mut Slots<A>,
        paths: &[Path],
        slot: u32,
        scratch: &mut Scratch,
    ) -> u32 {
        let wanted = match self.default_route.filter(|d| d.slot == slot) {
            // The only path, and one that stays.
            Some(d) => {
                let (source, last_choice) = (PeerIdx::LOCAL, false);
                smallvec![SentPath { attr: d.attr, id: 0, path_id: 0, source, last_choice }]
            }
            None => self.wanted_paths(shared, slots, paths, slot),
        };
        let Some(store) = &mut self.paths else { return 0 };
        let old: SmallVec<[SentPath; 8]> = store.get(slot).into();
        let mut known: SmallVec<[SentPath; 8]> = old.clone();
        known.sort_unstable_by_key(SentPath::name);
        let mut new = wanted;
        for path in &mut new {
            let same = known.binary_search_by_key(&path.name(), SentPath::name).ok();
            path.id = same.and_then(|at| known.get(at)).map_or_else(|| store.next_id(&old), |o| o.id);
        }
        let sent_now = new.len();
        if old.len() > sent_now || sent_now < paths.len() {
            keep_identifiers(&mut new, &old, paths);
        }
        let looked = u32::try_from(paths.len() + old.len()).unwrap_or(u32::MAX);
        if *new == *old {
            return looked;
        }
        let before = Before::new(sent(&old), new.get(..sent_now).unwrap_or_default());
        self.tell(shared, &before, new.get(..sent_now).unwrap_or_default(), slot, &mut scratch.entries);
        self.note(slots, slot);
        self.copy_again(slot);
        let had = self.column.get(slot).attr.is_some();
        let first = new.first().filter(|p| p.attr.is_some()).copied();
        new.iter().for_each(|p| shared.attrs.retain(p.attr, 1));
        if let Some(store) = &mut self.paths {
            release(shared, &store.replace(slot, new.into_boxed_slice()));
        }
        // The column only says that there is something: the references are the list's.
        let new = first.map_or(Sent::NOTHING, |p| p.as_sent());
        self.column.set(slot, new);
        match (had, new.attr.is_some()) {
            (false, true) => slots.hold(slot),
            (true, false) => scratch.let_go.push(slot),
            _ => {}
        }
        looked
    }

    /// The paths to be sent, the best one first: enough for every member to have as many as the limit says that are
    /// not from itself, as far as there are any.
    fn wanted_paths<A: Addr>(
        &self,
        shared: &mut Shared,
        slots: &Slots<A>,
        paths: &[Path],
        slot: u32,
    ) -> SmallVec<[SentPath; 8]> {
        let limit = self.paths.as_ref().map_or(0, |p| p.limit);
        let sent = |shared: &mut Shared, p: &Path| {
            let Sent { attr, source, last_choice, .. } = self.may_have(shared, slots, slot, p)?;
            Some(SentPath { attr, id: 0, path_id: p.path_id, source, last_choice })
        };
        if paths.len() <= limit {
            return paths.iter().filter_map(|p| sent(shared, p)).collect();
        }
        let candidates: SmallVec<[Candidate; 8]> = paths.iter().map(|p| candidate::<A>(shared, p)).collect();
        let ranked = rank(&candidates, shared.med_always_compare);
        let ranked = ranked.iter().filter_map(|at| paths.get(*at));
        let (mut list, mut own) = (SmallVec::new(), SmallVec::<[(PeerIdx, usize); 8]>::new());
        for path in ranked {
            let Some(path) = sent(shared, path) else { continue };
            // How many the source of most of them is not sent.
            let most = own.iter().map(|(_, n)| *n).max().unwrap_or(0);
            if list.len() - most >= limit {
                break;
            }
            match own.iter_mut().find(|(source, _)| *source == path.source) {
                Some((_, n)) => *n += 1,
                None => own.push((path.source, 1)),
            }
            list.push(path);
        }
        list
    }

    /// Adds what members of the stream must be told of a prefix whose list changes to `new`.
    fn tell(
        &self,
        shared: &Shared,
        before: &Before<'_>,
        new: &[SentPath],
        slot: u32,
        entries: &mut Vec<Entry>,
    ) {
        let readers = self.stream_len();
        let limit = self.paths.as_ref().map_or(0, |p| p.limit);
        if readers == 0 {
            return;
        }
        let mut add = |to, attr: AttrId, path: &SentPath| {
            let treatment = match attr.is_some() {
                true => self.treatment(shared, path.as_sent()),
                false => Treatment::Plain,
            };
            entries.push(Entry::new(to, attr, treatment, slot).of_path(path.id));
        };
        let mut common = |attr, path: &SentPath| match self.in_stream(path.source) {
            // The only one in the stream needs no message that is for all but itself.
            true if readers == 1 => {}
            true => add(To::Except(path.source), attr, path),
            false => add(To::All, attr, path),
        };
        for (at, (path, was)) in new.iter().zip(&before.was).enumerate() {
            let then = was.filter(|w| *w < limit);
            match then {
                Some(w) if at < limit && self.is_same(shared, before.list.get(w), path) => {}
                _ if at < limit => common(path.attr, path),
                Some(_) => common(AttrId::NONE, path),
                None => {}
            }
        }
        for path in before.gone.iter().filter(|w| **w < limit).filter_map(|w| before.list.get(*w)) {
            common(AttrId::NONE, path);
        }
        if new.len() <= limit && before.list.len() <= limit {
            return;
        }
        let mut members: SmallVec<[PeerIdx; 8]> = new.iter().chain(before.list).map(|p| p.source).collect();
        members.sort_unstable();
        members.dedup();
        for member in members.into_iter().filter(|m| self.in_stream(*m)) {
            let (now, then) = (reach(new, member, limit), reach(before.list, member, limit));
            for (at, (path, was)) in new.iter().zip(&before.was).enumerate().skip(limit) {
                if path.source == member {
                    continue;
                }
                // What it has when the common messages are out: these took back what all had.
                let has = was.filter(|w| (limit..then).contains(w));
                match has {
                    Some(w) if at < now && self.is_same(shared, before.list.get(w), path) => {}
                    _ if at < now => add(To::Only(member), path.attr, path),
                    Some(_) => add(To::Only(member), AttrId::NONE, path),
                    None => {}
                }
            }
            let own = before.gone.iter().filter(|w| (limit..then).contains(*w));
            for path in own.filter_map(|w| before.list.get(*w)).filter(|p| p.source != member) {
                add(To::Only(member), AttrId::NONE, path);
            }
        }
    }

    /// Whether what was sent is what a path says now.
    fn is_same(&self, shared: &Shared, was: Option<&SentPath>, path: &SentPath) -> bool {
        was.is_some_and(|w| self.look_alike(shared, w.as_sent(), path.as_sent()))
    }

    /// Notes the change of a prefix for members that are not in the stream: which identifiers they have of it.
    fn note<A: Addr>(&mut self, slots: &mut Slots<A>, slot: u32) {
        let Some(store) = &self.paths else { return };
        for member in &mut self.members {
            if let Some(c) = member.catch_up.as_mut()
                && c.knows(slot)
                && c.pending.insert(slot)
            {
                slots.hold(slot);
                let held: Box<[u32]> = store.of(slot, member.peer).map(|p| p.id).collect();
                if !held.is_empty() {
                    c.held.insert(slot, held);
                }
            }
        }
    }
}

impl<'a> Before<'a> {
    /// `list`: what was sent; `new`: what is to be.
    fn new(list: &'a [SentPath], new: &[SentPath]) -> Before<'a> {
        let mut places: SmallVec<[(u32, usize); 8]> =
            list.iter().enumerate().map(|(at, p)| (p.id, at)).collect();
        places.sort_unstable();
        let place = |id: u32| {
            let found = places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
            places.get(found).map(|(_, at)| *at)
        };
        let was: SmallVec<[Option<usize>; 8]> = new.iter().map(|p| place(p.id)).collect();
        let mut stays: SmallVec<[bool; 8]> = SmallVec::from_elem(false, list.len());
        for at in was.iter().flatten() {
            if let Some(stays) = stays.get_mut(*at) {
                *stays = true;
            }
        }
        let gone = (0..list.len()).filter(|at| stays.get(*at) == Some(&false)).collect();
        Before { list, was, gone }
    }
}

/// Up to where in a list a member has what is not its own.
fn reach(list: &[SentPath], member: PeerIdx, limit: usize) -> usize {
    let mut others = list.iter().enumerate().filter(|(_, p)| p.source != member).map(|(at, _)| at);
    others.nth(limit).unwrap_or(list.len())
}

/// Paths that have an identifier and are not sent now, but are still there, keep it.
fn keep_identifiers(new: &mut SmallVec<[SentPath; 8]>, old: &[SentPath], paths: &[Path]) {
    let mut sent: SmallVec<[(PeerIdx, u32); 8]> = new.iter().map(SentPath::name).collect();
    let mut there: SmallVec<[(PeerIdx, u32); 8]> = paths.iter().map(|p| (p.peer, p.path_id)).collect();
    sent.sort_unstable();
    there.sort_unstable();
    let is_kept =
        |p: &&SentPath| sent.binary_search(&p.name()).is_err() && there.binary_search(&p.name()).is_ok();
    new.extend(old.iter().filter(is_kept).map(|p| SentPath { attr: AttrId::NONE, ..*p }));
}
