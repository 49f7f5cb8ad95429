//! Changes of the configuration file that clients of the API ask for: control asks, the parent decides and writes.
//!
//! Control names things of the configuration, never files. What is larger than a datagram comes in parts, and all parts
//! together have a bound.

use std::marker::PhantomData;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::channel::BATCH;
use crate::ids::QueryId;
use crate::object::{Kind, Object};

/// The most octets that a change has, all of its parts together.
pub const MAX_EDIT: usize = 4 << 20;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// A neighbor that is not there yet.
    AddNeighbor(Box<NewNeighbor>),
    /// No more of this neighbor.
    DeleteNeighbor {
        /// Which.
        address: IpAddr,
    },
    /// Other policies, in place of a chain that is named there already.
    SetChain {
        /// Of this neighbor; `None` = of all that have none themselves.
        neighbor: Option<IpAddr>,
        /// For which way of routes.
        way: Way,
        /// Names of policies, in order; empty = no chain.
        policies: Vec<String>,
    },
    /// A named thing, new or in place of what has the name.
    SetObject {
        /// Of which kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// What it shall be.
        object: Object,
        /// The client knows all keys. Another one must not replace what has keys that it does not know.
        knows_all: bool,
    },
    /// No more of a named thing.
    DeleteObject {
        /// Of which kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The peer group of a neighbor that is there.
    SetNeighborGroup {
        /// Which neighbor.
        neighbor: IpAddr,
        /// The name of the group; `None` = in none.
        group: Option<String>,
    },
    /// A range of dynamic neighbors that is not there yet.
    AddRange(NewRange),
    /// No more of this range.
    DeleteRange {
        /// Which.
        prefix: IpNet,
    },
}

/// Which way the routes go that a chain is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// From peers.
    Import,
    /// To peers.
    Export,
}

/// The chains that the configuration file names at one place: what it says there, not what follows from peer groups and from
/// what counts for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chains {
    /// Names of policies for import, in order.
    pub import: Vec<String>,
    /// For export.
    pub export: Vec<String>,
}

/// A neighbor as a client describes it. What is `None` or `false` is not written to the file: the peer group or the default
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNeighbor {
    /// Its address, which names it.
    pub address: IpAddr,
    /// Its AS number.
    pub remote_asn: u32,
    /// Description.
    pub description: Option<String>,
    /// Name of its peer group.
    pub peer_group: Option<String>,
    /// Names of families; empty = IPv4 unicast, unless the peer group names some.
    pub families: Vec<String>,
    /// Proposed hold time in seconds.
    pub hold_time: Option<u32>,
    /// Most prefixes accepted.
    pub max_prefixes: Option<u32>,
    /// Most prefixes announced.
    pub max_prefixes_out: Option<u32>,
    /// What happens beyond these limits.
    pub max_prefixes_action: Option<String>,
    /// When a session that went beyond is tried again.
    pub max_prefixes_restart_minutes: Option<u32>,
    /// What happens to private AS numbers.
    pub remove_private_as: Option<String>,
    /// GTSM (RFC 5082).
    pub ttl_security: bool,
    /// Our role towards it (RFC 9234).
    pub role: Option<String>,
    /// It must announce one.
    pub role_strict: bool,
    /// Transparent route-server client (RFC 7947).
    pub route_server_client: bool,
    /// Several paths for one prefix (RFC 7911), from it.
    pub add_path_receive: bool,
    /// To it.
    pub add_path_send: bool,
    /// How many to it at most.
    pub add_path_send_max: Option<u32>,
    /// Everything else, by the keys that a peer group has as well.
    pub settings: Object,
}

/// A range of dynamic neighbors as a client describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRange {
    /// Where they connect from, which names it.
    pub prefix: IpNet,
    /// Name of the group that gives their settings.
    pub peer_group: String,
    /// Their AS number, 0 = any.
    pub remote_asn: u32,
    /// Description.
    pub description: Option<String>,
}

/// Why a change was not made. Nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditError {
    /// Of which kind it is.
    pub kind: Refusal,
    /// The key of the configuration that is concerned, empty where it is none.
    pub field: String,
    /// What it was to be; never a secret.
    pub value: String,
    /// What is wrong, in words.
    pub message: String,
}

/// Kinds of [`EditError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A value breaks a rule of the configuration.
    Invalid,
    /// What is to be changed is not there.
    NotFound,
    /// What is to be added is there.
    Exists,
    /// The state does not allow it: something refers to it, the file was edited by hand, or cannot be written.
    Precondition,
    /// The daemon is busy with something else: safe to try again.
    Unavailable,
}

impl EditError {
    /// An error that concerns no single key.
    pub fn new(kind: Refusal, message: impl Into<String>) -> EditError {
        EditError { kind, field: String::new(), value: String::new(), message: message.into() }
    }

    /// An error that concerns the value of a key.
    pub fn about(kind: Refusal, field: &str, value: impl ToString, message: impl Into<String>) -> EditError {
        EditError { kind, field: field.to_owned(), value: value.to_string(), message: message.into() }
    }
}

/// A part of a change, or of what is asked or answered about the file. The parts of one come one after the other, with none of another between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditPart {
    /// Repeated in the answer.
    pub id: QueryId,
    /// Its octets.
    pub octets: Vec<u8>,
    /// The change is whole.
    pub last: bool,
}

/// Cuts a change, or whatever else is told in this way, into parts that fit datagrams; `None` where it has more than
/// [`MAX_EDIT`] octets.
pub fn parts<T: Serialize>(id: QueryId, edit: &T) -> Option<Vec<EditPart>> {
    let whole = postcard::to_stdvec(edit).ok().filter(|octets| octets.len() <= MAX_EDIT)?;
    let count = whole.len().div_ceil(BATCH);
    let part = |(n, octets): (usize, &[u8])| EditPart { id, octets: octets.to_vec(), last: n + 1 == count };
    Some(whole.chunks(BATCH).enumerate().map(part).collect())
}

/// Puts parts together.
#[derive(Debug)]
pub struct Assembly<T = Edit> {
    under_way: Option<(QueryId, Vec<u8>)>,
    whole: PhantomData<fn() -> T>,
}

impl<T> Default for Assembly<T> {
    fn default() -> Self {
        Assembly { under_way: None, whole: PhantomData }
    }
}

impl<T: DeserializeOwned> Assembly<T> {
    /// Takes the next part; gives the change when it is whole.
    ///
    /// # Errors
    /// What the sender did wrong.
    pub fn take(&mut self, part: EditPart) -> Result<Option<(QueryId, T)>, String> {
        let (id, mut octets) = self.under_way.take().unwrap_or((part.id, Vec::new()));
        if id != part.id {
            return Err(format!("a part of edit {} among those of {id}", part.id));
        }
        if part.octets.is_empty() || octets.len() + part.octets.len() > MAX_EDIT {
            return Err(format!("edit {id} is empty or has more than {MAX_EDIT} octets"));
        }
        octets.extend_from_slice(&part.octets);
        if !part.last {
            self.under_way = Some((id, octets));
            return Ok(None);
        }
        match postcard::take_from_bytes(&octets) {
            Ok((edit, [])) => Ok(Some((id, edit))),
            Ok((_, rest)) => Err(format!("edit {id} has {} octets left over", rest.len())),
            Err(error) => Err(format!("edit {id} cannot be decoded: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbor(description: String) -> Edit {
        Edit::AddNeighbor(Box::new(NewNeighbor {
            address: IpAddr::from([192, 0, 2, 1]),
            remote_asn: 65002,
            description: Some(description),
            peer_group: None,
            families: vec!["ipv4_unicast".into()],
            hold_time: Some(30),
            max_prefixes: None,
            max_prefixes_out: None,
            max_prefixes_action: None,
            max_prefixes_restart_minutes: None,
            remove_private_as: None,
            ttl_security: false,
            role: None,
            role_strict: false,
            route_server_client: false,
            add_path_receive: false,
            add_path_send: false,
            add_path_send_max: None,
            settings: Object::default(),
        }))
    }

    #[test]
    fn a_change_is_whole_again_after_its_last_part() {
        let mut assembly = Assembly::default();
        for (n, len) in [(1, 0), (2, 10), (3, BATCH - 1), (4, 3 * BATCH), (5, MAX_EDIT - 100)] {
            let edit = neighbor("x".repeat(len));
            let id = QueryId(n);
            let parts = parts(id, &edit).unwrap();
            assert!(parts.iter().all(|p| (1..=BATCH).contains(&p.octets.len())));
            let count = parts.len();
            assert_eq!(count, (len + 30) / BATCH + 1, "{len}");
            for (n, part) in parts.into_iter().enumerate() {
                let whole = assembly.take(part).unwrap();
                assert_eq!(whole, (n + 1 == count).then(|| (id, edit.clone())), "part {n} of {count}");
            }
        }
        assert_eq!(parts(QueryId(1), &neighbor("x".repeat(MAX_EDIT))), None);
    }

    #[test]
    fn what_does_not_fit_together_is_an_error_of_the_sender() {
        let part = |id, octets: &[u8], last| EditPart { id: QueryId(id), octets: octets.to_vec(), last };
        let cases: [(&[EditPart], &str); 5] = [
            (&[part(1, &[0], false), part(2, &[0], true)], "a part of edit 2 among those of 1"),
            (&[part(1, &[], true)], "is empty"),
            (&[part(1, &[0xff; 9], true)], "cannot be decoded"),
            (&[part(1, &[1, 0, 192, 0, 2, 1, 7], true)], "1 octets left over"),
            (&[part(1, &[0; MAX_EDIT], false), part(1, &[0], false)], "more than"),
        ];
        for (parts, says) in cases {
            let mut assembly = Assembly::<Edit>::default();
            let error = parts.iter().find_map(|p| assembly.take(p.clone()).err()).unwrap();
            assert!(error.contains(says), "{error}");
        }
    }
}
