//! Reading an UPDATE in place: one pass over the attributes, one over the prefixes.

use std::net::Ipv4Addr;

use super::{ReadContext, Update};
use crate::attr::check::{self, MpReach};
use crate::attr::{Attributes, Framing, RawAttribute, code, flags, next_attribute};
use crate::error::{AttributeFault, FaultKind, Verdict};
use crate::nlri::Nlri;
use crate::notification::Notification;
use crate::types::{Family, NextHop};
use crate::wire::Reader;

/// Like [`read`], for those who ask only how the session ends.
///
/// # Errors
/// The NOTIFICATION for the fault that [`read`] returns.
pub fn parse<'a>(body: &'a [u8], ctx: &ReadContext) -> Result<Update<'a>, Notification> {
    read(body, ctx).map_err(|fault| fault.notification(body))
}

/// Reads and checks the body of an UPDATE (the message without its header).
///
/// # Errors
/// The fault that ends the session, only where RFC 7606 says so: the lengths of the fields don't
/// fit (§3 b), prefixes can't be found (§3 j, §5.3, §7.11), MP_REACH_NLRI or MP_UNREACH_NLRI comes twice
/// (§3 g), an error in an UPDATE that announces nothing (§5.2), and for an unknown well-known attribute
/// (RFC 4271 §6.3). Its [`notification`](AttributeFault::notification) is what the peer is told.
pub fn read<'a>(body: &'a [u8], ctx: &ReadContext) -> Result<Update<'a>, AttributeFault> {
    let fields =
        Fields::split(body).ok_or_else(|| AttributeFault::new(0, FaultKind::FieldLengths, Verdict::Reset))?;
    let mut parser = Parser::new(body, ctx);
    parser.attributes(fields.attributes, fields.attributes_at)?;
    parser.ipv4_fields(&fields)?;
    parser.finish(&fields)
}

/// The three variable fields (RFC 4271 §4.3).
struct Fields<'a> {
    withdrawn: &'a [u8],
    attributes: &'a [u8],
    attributes_at: usize,
    announced: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    fn split(body: &'a [u8]) -> Option<Fields<'a>> {
        let mut reader = Reader(body);
        let withdrawn_len = reader.u16()?;
        let withdrawn = reader.take(usize::from(withdrawn_len))?;
        let attributes_len = reader.u16()?;
        let attributes = reader.take(usize::from(attributes_len))?;
        Some(Fields { withdrawn, attributes, attributes_at: withdrawn.len() + 4, announced: reader.0 })
    }
}

/// A set of type codes.
#[derive(Default)]
struct CodeSet([u64; 4]);

impl CodeSet {
    /// Adds a code and returns whether it was there before.
    #[inline]
    fn insert(&mut self, code: u8) -> bool {
        let bit = 1 << (code % 64);
        let Some(word) = self.0.get_mut(usize::from(code / 64)) else { return false };
        let had = *word & bit != 0;
        *word |= bit;
        had
    }

    #[inline]
    fn contains(&self, code: u8) -> bool {
        self.0.get(usize::from(code / 64)).is_some_and(|word| word & 1 << (code % 64) != 0)
    }
}

struct Parser<'a, 'c> {
    body: &'a [u8],
    ctx: &'c ReadContext,
    update: Update<'a>,
    seen: CodeSet,
    repeated: CodeSet,
    /// There is an attribute other than MP_UNREACH_NLRI.
    describes_routes: bool,
    /// The UPDATE has reachable prefixes, perhaps of a family that we don't take.
    reachable: bool,
    /// The attributes' lengths fit, so that what is not there is missing.
    complete: bool,
}

impl<'a, 'c> Parser<'a, 'c> {
    fn new(body: &'a [u8], ctx: &'c ReadContext) -> Parser<'a, 'c> {
        let update = Update {
            withdrawn: Nlri::empty(Family::Ipv4Unicast),
            announced: Nlri::empty(Family::Ipv4Unicast),
            mp_unreach: None,
            mp_reach: None,
            mp_next_hop: None,
            next_hop: None,
            attributes: Attributes::default(),
            verdict: Verdict::Accept,
            faults: smallvec::SmallVec::new(),
            end_of_rib: None,
        };
        Parser {
            body,
            ctx,
            update,
            seen: CodeSet::default(),
            repeated: CodeSet::default(),
            describes_routes: false,
            reachable: false,
            complete: true,
        }
    }

    /// Notes a fault, or ends with it.
    #[cold]
    fn fault(&mut self, fault: AttributeFault) -> Result<(), AttributeFault> {
        if fault.verdict == Verdict::Reset {
            return Err(fault);
        }
        self.update.verdict = self.update.verdict.max(fault.verdict);
        self.update.faults.push(fault);
        Ok(())
    }

    #[inline]
    fn attributes(&mut self, bytes: &'a [u8], at: usize) -> Result<(), AttributeFault> {
        let mut reader = Reader(bytes);
        while !reader.is_empty() {
            let left = reader.0.len();
            let start = at + bytes.len() - left;
            match next_attribute(&mut reader) {
                Ok(attribute) => {
                    if let Err(fault) = self.attribute(attribute) {
                        self.fault(fault.at(start, left - reader.0.len()))?;
                    }
                }
                Err(framing) => return self.bad_framing(framing, start, left),
            }
        }
        Ok(())
    }

    /// RFC 7606 §4: what is left can't be read, but where the NLRI field begins is known.
    fn bad_framing(&mut self, framing: Framing, start: usize, len: usize) -> Result<(), AttributeFault> {
        self.complete = false;
        self.describes_routes = true;
        let fault = match framing {
            Framing::Truncated => AttributeFault::new(0, FaultKind::Truncated, Verdict::TreatAsWithdraw),
            // Its prefixes can't be found (§3 j).
            Framing::Overrun { code: c @ (code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) } => {
                AttributeFault::new(c, FaultKind::MalformedNlri, Verdict::Reset)
            }
            Framing::Overrun { code } => {
                AttributeFault::new(code, FaultKind::Overrun, Verdict::TreatAsWithdraw)
            }
        };
        self.fault(fault.at(start, len))
    }

    #[inline]
    fn attribute(&mut self, a: RawAttribute<'a>) -> Result<(), AttributeFault> {
        if self.seen.insert(a.code) {
            return self.repeated_attribute(a.code);
        }
        match a.code {
            code::MP_REACH_NLRI => {
                self.describes_routes = true;
                self.mp_reach(&a)
            }
            code::MP_UNREACH_NLRI => {
                self.update.mp_unreach = Some(check::mp_unreach(&a, self.ctx)?);
                Ok(())
            }
            _ => {
                self.describes_routes = true;
                check::attribute(&a, self.ctx)?;
                // Unknown attributes that are not transitive are quietly ignored (RFC 4271 §5).
                if a.flags & flags::TRANSITIVE != 0 || code::specified_flags(a.code).is_some() {
                    self.update.attributes.insert(a);
                }
                Ok(())
            }
        }
    }

    /// RFC 7606 §3 g. One fault for each type code is enough, however often it is repeated.
    fn repeated_attribute(&mut self, code: u8) -> Result<(), AttributeFault> {
        let verdict = match code {
            code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => Verdict::Reset,
            _ if self.repeated.insert(code) => return Ok(()),
            _ => Verdict::Discard,
        };
        Err(AttributeFault::new(code, FaultKind::Duplicate, verdict))
    }

    #[inline]
    fn mp_reach(&mut self, a: &RawAttribute<'a>) -> Result<(), AttributeFault> {
        let read = check::mp_reach(a, self.ctx);
        // Routes of another family than agreed on are routes all the same (RFC 7606 §5.2).
        self.reachable |= read.is_err();
        let MpReach { nlri, next_hop, next_hop_is_host } = read?;
        self.reachable |= !nlri.is_empty();
        self.update.mp_reach = Some(nlri);
        if next_hop_is_host {
            self.update.mp_next_hop = next_hop;
            Ok(())
        } else {
            Err(AttributeFault::new(a.code, FaultKind::InvalidNextHop, Verdict::TreatAsWithdraw))
        }
    }

    /// The Withdrawn Routes and NLRI fields: IPv4 unicast. RFC 7606 §3 i, §5.3.
    #[inline]
    fn ipv4_fields(&mut self, fields: &Fields<'a>) -> Result<(), AttributeFault> {
        let family = Family::Ipv4Unicast;
        let add_path = self.ctx.add_path.contains(family);
        let read = |bytes: &'a [u8], start| {
            let fault = AttributeFault::new(0, FaultKind::MalformedNlri, Verdict::Reset);
            Nlri::parse(bytes, family, add_path).map_err(|_| fault.at(start, bytes.len()))
        };
        let announced_at = self.body.len() - fields.announced.len();
        let (withdrawn, announced) = (read(fields.withdrawn, 2)?, read(fields.announced, announced_at)?);
        self.reachable |= !announced.is_empty();
        if self.ctx.families.contains(family) {
            self.update.withdrawn = withdrawn;
            self.update.announced = announced;
        } else if !withdrawn.is_empty() || !announced.is_empty() {
            let kind = FaultKind::FamilyNotNegotiated { afi: family.afi(), safi: family.safi() };
            self.fault(AttributeFault::new(0, kind, Verdict::Discard))?;
        }
        Ok(())
    }

    #[inline]
    fn finish(mut self, fields: &Fields<'a>) -> Result<Update<'a>, AttributeFault> {
        self.next_hop(fields)?;
        self.mandatory()?;
        if self.update.verdict == Verdict::TreatAsWithdraw && self.describes_routes && !self.reachable {
            return Err(self.nothing_announced());
        }
        if self.body == [0; 4] {
            self.update.end_of_rib = Some(Family::Ipv4Unicast);
        } else if let Some(nlri) = &self.update.mp_unreach {
            let nothing_else = fields.withdrawn.is_empty()
                && fields.announced.is_empty()
                && !self.describes_routes
                && self.update.faults.is_empty();
            self.update.end_of_rib = (nothing_else && nlri.is_empty()).then_some(nlri.family());
        }
        Ok(self.update)
    }

    /// NEXT_HOP has a meaning only for the NLRI field (RFC 4760 §3).
    #[inline]
    fn next_hop(&mut self, fields: &Fields<'a>) -> Result<(), AttributeFault> {
        let Some(value) = self.update.attributes.get(code::NEXT_HOP) else { return Ok(()) };
        let next_hop = value.first_chunk::<4>().map(|b| NextHop::V4(Ipv4Addr::from(*b)));
        self.update.next_hop = next_hop.filter(|n| check::next_hop_is_host(*n));
        if self.update.next_hop.is_some() || self.update.announced.is_empty() {
            return Ok(());
        }
        let fault = AttributeFault::new(code::NEXT_HOP, FaultKind::InvalidNextHop, Verdict::TreatAsWithdraw);
        let (start, len) = place(fields, code::NEXT_HOP);
        self.fault(fault.at(start, len))
    }

    /// RFC 7606 §3 d with the table of RFC 4271 §5 ("mandatory", for LOCAL_PREF "required") and RFC 4760
    /// §3.
    #[inline]
    fn mandatory(&mut self) -> Result<(), AttributeFault> {
        let announced = !self.update.announced.is_empty();
        let mp_reach = self.update.mp_reach.is_some_and(|n| !n.is_empty());
        if !self.complete || !(announced || mp_reach) {
            return Ok(());
        }
        let required = [
            (code::ORIGIN, true),
            (code::AS_PATH, true),
            (code::NEXT_HOP, announced),
            (code::LOCAL_PREF, !self.ctx.external),
        ];
        for (code, required) in required {
            if required && !self.seen.contains(code) {
                self.fault(AttributeFault::new(code, FaultKind::Missing, Verdict::TreatAsWithdraw))?;
            }
        }
        Ok(())
    }

    /// RFC 7606 §5.2: whether there were prefixes can't be known, so that nothing less than a reset is
    /// safe.
    #[cold]
    fn nothing_announced(&self) -> AttributeFault {
        let strongest = self.update.faults.iter().find(|f| f.verdict == self.update.verdict);
        let unknown = AttributeFault::new(0, FaultKind::FieldLengths, Verdict::Reset);
        strongest.map_or(unknown, |fault| fault.resets())
    }
}

/// Where the first attribute of this type code lies in the body, and its whole length.
#[cold]
fn place(fields: &Fields<'_>, code: u8) -> (usize, usize) {
    let mut reader = Reader(fields.attributes);
    loop {
        let left = reader.0.len();
        match next_attribute(&mut reader) {
            Ok(a) if a.code == code => {
                return (fields.attributes_at + fields.attributes.len() - left, left - reader.0.len());
            }
            Ok(_) => {}
            Err(_) => return (0, 0),
        }
    }
}
