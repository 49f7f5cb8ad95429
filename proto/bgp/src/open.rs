//! OPEN: RFC 4271 §4.2 and §6.2, optional parameters by RFC 5492 and RFC 9072.

use crate::capability::{Capability, MalformedCapability};
use crate::header::{self, MessageType};
use crate::notification::{Notification, open_error};
use crate::types::{Asn, RouterId};
use crate::wire::Reader;

/// The version of BGP that we speak.
pub const VERSION: u8 = 4;

/// The optional parameter that carries capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;

/// In the place of the first parameter's type: lengths have two octets (RFC 9072 §2).
const EXTENDED_LENGTH: u8 = 255;

/// An OPEN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Version: always [`VERSION`] in what was decoded.
    pub version: u8,
    /// The 2-octet AS number: AS_TRANS for a longer one.
    pub my_as: u16,
    /// Proposed hold time in seconds: 0 or at least 3.
    pub hold_time: u16,
    /// The sender's BGP identifier.
    pub router_id: RouterId,
    /// Capabilities in the order of the wire.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The sender's AS: that of the 4-octet AS capability, if there is one (RFC 6793 §4.1).
    pub fn asn(&self) -> Asn {
        let four_octet = self.capabilities.iter().find_map(|c| match c {
            Capability::FourOctetAs(asn) => Some(Asn(*asn)),
            _ => None,
        });
        four_octet.unwrap_or(Asn(u32::from(self.my_as)))
    }

    /// Reads and checks the body (the message without its header).
    ///
    /// # Errors
    /// OPEN Message Error with the subcode and data of RFC 4271 §6.2 and RFC 7607 §2. Octets behind the
    /// optional parameters and capabilities of a wrong length are "Unspecific".
    pub fn decode(body: &[u8]) -> Result<Open, Notification> {
        let unspecific = || Notification::open(open_error::UNSPECIFIC);
        let mut reader = Reader(body);
        let version = reader.u8().ok_or_else(unspecific)?;
        if version != VERSION {
            return Err(Notification::unsupported_version());
        }
        let my_as = reader.u16().ok_or_else(unspecific)?;
        let hold_time = reader.u16().ok_or_else(unspecific)?;
        let router_id = reader.u32().ok_or_else(unspecific)?;
        if my_as == 0 {
            return Err(Notification::open(open_error::BAD_PEER_AS));
        }
        if hold_time == 1 || hold_time == 2 {
            return Err(Notification::open(open_error::UNACCEPTABLE_HOLD_TIME));
        }
        if router_id == 0 {
            return Err(Notification::open(open_error::BAD_BGP_IDENTIFIER));
        }
        let capabilities = Parameters::split(reader).ok_or_else(unspecific)?.capabilities()?;
        if capabilities.contains(&Capability::FourOctetAs(0)) {
            return Err(Notification::open(open_error::BAD_PEER_AS));
        }
        Ok(Open { version, my_as, hold_time, router_id: router_id.into(), capabilities })
    }

    /// The whole message with its header. Capabilities go into one parameter; where they take more than
    /// 255 octets, lengths have two octets (RFC 9072 §2). All must fit a message of 4096 octets: RFC 8654
    /// §4 does not extend OPEN.
    pub fn encode(&self) -> Vec<u8> {
        let mut capabilities = Vec::new();
        self.capabilities.iter().for_each(|c| c.encode(&mut capabilities));
        let mut out = Vec::with_capacity(header::HEADER_LEN + 16 + capabilities.len());
        let start = header::write(&mut out, MessageType::Open);
        out.push(self.version);
        out.extend_from_slice(&self.my_as.to_be_bytes());
        out.extend_from_slice(&self.hold_time.to_be_bytes());
        out.extend_from_slice(&self.router_id.0.octets());
        write_parameters(&mut out, &capabilities);
        header::finish(&mut out, start);
        out
    }
}

fn write_parameters(out: &mut Vec<u8>, capabilities: &[u8]) {
    let Ok(len) = u8::try_from(capabilities.len()) else {
        return write_extended_parameters(out, capabilities);
    };
    match len.checked_add(2) {
        _ if len == 0 => out.push(0),
        Some(all) => out.extend_from_slice(&[all, CAPABILITIES, len]),
        None => return write_extended_parameters(out, capabilities),
    }
    out.extend_from_slice(capabilities);
}

fn write_extended_parameters(out: &mut Vec<u8>, capabilities: &[u8]) {
    let len = u16::try_from(capabilities.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&[EXTENDED_LENGTH, EXTENDED_LENGTH]);
    out.extend_from_slice(&len.saturating_add(3).to_be_bytes());
    out.push(CAPABILITIES);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(capabilities);
}

/// The optional parameters, as long as their length field says and not longer.
struct Parameters<'a> {
    bytes: &'a [u8],
    extended: bool,
}

impl<'a> Parameters<'a> {
    /// RFC 9072 §2: the octet behind the length decides on the format, whatever the length is.
    fn split(mut reader: Reader<'a>) -> Option<Parameters<'a>> {
        let len = reader.u8()?;
        let extended = len != 0 && reader.0.first() == Some(&EXTENDED_LENGTH);
        let len = if extended {
            reader.u8()?;
            usize::from(reader.u16()?)
        } else {
            usize::from(len)
        };
        (reader.0.len() == len).then_some(Parameters { bytes: reader.0, extended })
    }

    fn capabilities(&self) -> Result<Vec<Capability>, Notification> {
        let unspecific = || Notification::open(open_error::UNSPECIFIC);
        let mut capabilities = Vec::new();
        let mut reader = Reader(self.bytes);
        while let Some(kind) = reader.u8() {
            if kind != CAPABILITIES {
                return Err(Notification::open(open_error::UNSUPPORTED_OPTIONAL_PARAMETER));
            }
            let len = if self.extended { reader.u16() } else { reader.u8().map(u16::from) };
            let value = len.and_then(|n| reader.take(usize::from(n))).ok_or_else(unspecific)?;
            read_capabilities(value, &mut capabilities).map_err(|_| unspecific())?;
        }
        Ok(capabilities)
    }
}

fn read_capabilities(bytes: &[u8], list: &mut Vec<Capability>) -> Result<(), MalformedCapability> {
    let mut reader = Reader(bytes);
    while let Some(code) = reader.u8() {
        let value = reader.u8().and_then(|n| reader.take(usize::from(n)));
        list.push(Capability::decode(code, value.ok_or(MalformedCapability(code))?)?);
    }
    Ok(())
}
