//! Routes that clients inject: what is accepted, and how they get to rde.
//!
//! Nothing is accepted that we would not accept from a peer (RFC 4271 §6.3, RFC 7607).

use std::net::IpAddr;

use grpc::v1::AddPathRequest;
use ipc::control_rde::{InjectedRoute, Injection, OwnedBy};
use ipnet::IpNet;
use tonic::Status;

use crate::convert;
use crate::error::invalid;

/// The octets of a BGP message that path attributes can have: without header, length fields and one prefix
/// of any family (RFC 4271 §4.3, RFC 4760 §3).
const MAX_ATTRIBUTES: usize = bgp::MAX_MESSAGE - 19 - 4 - 17;

/// The longest name of an owner, in octets.
const MAX_NAME: usize = 64;

/// The longest lease, in seconds.
const MAX_LEASE: u32 = 30 * 24 * 3600;

/// Checks a route.
///
/// # Errors
/// INVALID_ARGUMENT, naming the field.
pub(crate) fn check(request: AddPathRequest) -> Result<InjectedRoute, Status> {
    let prefix = convert::prefix("prefix", &request.prefix, request.prefix_length)?;
    let next_hop = next_hop(prefix, &request.next_hop)?;
    let origin = u8::try_from(request.origin).ok().filter(|o| *o <= 2).ok_or_else(|| {
        invalid(
            "origin",
            request.origin,
            format!("{} is not 0 (IGP), 1 (EGP) or 2 (INCOMPLETE)", request.origin),
        )
    })?;
    if request.as_path.contains(&0) {
        return Err(invalid("as_path", 0, "AS 0 must not appear in a path (RFC 7607)"));
    }
    let large_communities = convert::large_communities("large_communities", &request.large_communities)?;
    let route = InjectedRoute {
        prefix,
        path_id: request.path_id,
        origin,
        as_path: request.as_path,
        next_hop,
        local_pref: request.local_pref,
        med: request.med,
        communities: request.communities,
        extended_communities: request.extended_communities,
        large_communities,
    };
    let octets = attribute_octets(&route);
    if octets > MAX_ATTRIBUTES {
        let lists = [
            ("as_path", route.as_path.len() * 4),
            ("communities", route.communities.len() * 4),
            ("extended_communities", route.extended_communities.len() * 8),
            ("large_communities", route.large_communities.len() * 12),
        ];
        let (longest, length) = lists.into_iter().max_by_key(|(_, octets)| *octets).unwrap_or_default();
        let why = format!(
            "the attributes of {prefix} take {octets} octets, and a BGP message holds {MAX_ATTRIBUTES}: shorten this list"
        );
        return Err(invalid(longest, format!("{length} octets"), why));
    }
    Ok(route)
}

/// Checks a route that is one of many, whose owner is said for all.
///
/// # Errors
/// See [`check`].
pub(crate) fn check_item(request: AddPathRequest) -> Result<InjectedRoute, Status> {
    if !request.owner.is_empty() || request.lease_seconds.is_some() {
        return Err(invalid(
            "owner",
            request.owner,
            "is said for all routes of a stream, in its first message",
        ));
    }
    check(request)
}

/// Checks whose routes are to be; `None` where they are nobody's.
///
/// # Errors
/// INVALID_ARGUMENT, naming the field.
pub(crate) fn owner(name: &str, lease: Option<u32>) -> Result<Option<OwnedBy>, Status> {
    if name.is_empty() {
        return match lease {
            None => Ok(None),
            Some(seconds) => {
                let what = "needs an owner: whose routes are to go, and who renews it? Give one such as \"announcer-1\"";
                Err(invalid("lease_seconds", seconds, what))
            }
        };
    }
    if name.len() > MAX_NAME || !name.bytes().all(|c| c.is_ascii_graphic()) {
        let what =
            format!("must be 1 to {MAX_NAME} printable ASCII characters without blanks, such as announcer-1");
        return Err(invalid("owner", name, what));
    }
    if let Some(seconds) = lease.filter(|s| *s > MAX_LEASE) {
        return Err(invalid(
            "lease_seconds",
            seconds,
            format!("is more than {MAX_LEASE}, 30 days; 0 means for ever"),
        ));
    }
    Ok(Some(OwnedBy { name: name.to_owned(), lease }))
}

fn next_hop(prefix: IpNet, text: &str) -> Result<IpAddr, Status> {
    let v4 = matches!(prefix, IpNet::V4(_));
    let example = if v4 { "192.0.2.1" } else { "2001:db8::1" };
    let wrong =
        |what: &str| invalid("next_hop", text, format!("{text:?} {what}; give an address such as {example}"));
    let address: IpAddr = text.parse().map_err(|_| wrong("is not an IP address"))?;
    if address.is_ipv4() != v4 {
        return Err(wrong(&format!("is not of the family of {prefix}")));
    }
    let unusable = match address {
        IpAddr::V4(a) => a.octets().first().is_none_or(|first| *first == 0 || *first >= 240),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    if unusable || address.is_unspecified() || address.is_multicast() {
        return Err(wrong("cannot be a next hop"));
    }
    Ok(address)
}

/// What the attributes take in an UPDATE at most, in octets. An AS_PATH segment holds 255 AS numbers, and
/// one is put in front on the way out.
fn attribute_octets(route: &InjectedRoute) -> usize {
    let list = |count: usize, size: usize| if count == 0 { 0 } else { 4 + count * size };
    let segments = route.as_path.len().div_ceil(255);
    let path = 4 + 4 + segments * 2 + (route.as_path.len() + 1) * 4;
    let fixed = 4 + 7 + 7 + 4 + 5 + 33;
    fixed
        + path
        + list(route.communities.len(), 4)
        + list(route.extended_communities.len(), 8)
        + list(route.large_communities.len(), 12)
}

/// Cuts what is to be done into runs that fit a message to rde.
pub(crate) fn chunks(items: Vec<Injection>) -> Vec<Vec<Injection>> {
    let mut chunks: Vec<Vec<Injection>> = Vec::new();
    let mut room = 0;
    for item in items {
        // An encoded number takes a quarter more than its octets.
        let octets = match &item {
            Injection::Route(route) => 64 + attribute_octets(route) * 5 / 4,
            Injection::Withdraw { .. } => 64,
        };
        match chunks.last_mut() {
            Some(chunk) if octets <= room => chunk.push(item),
            _ => {
                room = ipc::channel::BATCH;
                chunks.push(vec![item]);
            }
        }
        room = room.saturating_sub(octets);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AddPathRequest {
        AddPathRequest {
            prefix: "203.0.113.0".into(),
            prefix_length: 24,
            next_hop: "192.0.2.1".into(),
            as_path: vec![65001, 4_200_000_000],
            ..AddPathRequest::default()
        }
    }

    #[test]
    fn a_plain_route_is_accepted_as_it_is() {
        let route = check(request()).unwrap();
        assert_eq!(route.prefix.to_string(), "203.0.113.0/24");
        assert_eq!(route.as_path, [65001, 4_200_000_000]);
        assert_eq!((route.local_pref, route.med), (None, None));
    }

    #[test]
    fn owners_have_names_and_leases_have_owners() {
        assert_eq!(owner("", None).unwrap(), None);
        let owned = OwnedBy { name: "a-1".into(), lease: Some(0) };
        assert_eq!(owner("a-1", Some(0)).unwrap(), Some(owned));
        let long = "x".repeat(65);
        for (name, lease, field) in [
            ("", Some(30), "lease_seconds"),
            ("a b", None, "owner"),
            ("\u{e9}", None, "owner"),
            (&*long, None, "owner"),
            ("a", Some(u32::MAX), "lease_seconds"),
        ] {
            let status = owner(name, lease).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(status.message().starts_with(field), "{}", status.message());
        }
        let named = AddPathRequest { owner: "a".into(), ..request() };
        assert!(check(named.clone()).is_ok() && check_item(named).is_err());
    }

    #[test]
    fn what_a_peer_may_not_send_is_refused() {
        type Change = fn(&mut AddPathRequest);
        let cases: [(&str, Change); 13] = [
            ("origin", |r| r.origin = 3),
            ("as_path", |r| r.as_path = vec![65001, 0]),
            ("next_hop", |r| r.next_hop = "0.0.0.0".into()),
            ("next_hop", |r| r.next_hop = "224.0.0.1".into()),
            ("next_hop", |r| r.next_hop = "255.255.255.255".into()),
            ("next_hop", |r| r.next_hop = "2001:db8::1".into()),
            ("next_hop", |r| r.next_hop = String::new()),
            ("next_hop", |r| {
                (r.prefix, r.prefix_length, r.next_hop) = ("2001:db8::".into(), 32, "fe80::1".into())
            }),
            ("prefix_length", |r| r.prefix_length = 33),
            ("prefix", |r| r.prefix_length = 16),
            ("large_communities", |r| r.large_communities = vec!["1:2".into()]),
            ("attributes", |r| r.as_path = vec![65001; 1020]),
            ("attributes", |r| r.communities = vec![1; 1020]),
        ];
        for (field, change) in cases {
            let mut changed = request();
            change(&mut changed);
            let status = check(changed.clone()).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(status.message().contains(field), "{changed:?}: {}", status.message());
        }
    }

    #[test]
    fn chunks_fit_a_message_and_lose_nothing() {
        let large = AddPathRequest { as_path: vec![u32::MAX; 900], ..request() };
        let routes: Vec<Injection> = (0..3000u32)
            .map(|path_id| match path_id % 5 {
                4 => Injection::Withdraw { prefix: "2001:db8::/32".parse().unwrap(), path_id },
                n => {
                    let route = check(if n == 0 { large.clone() } else { request() }).unwrap();
                    Injection::Route(InjectedRoute { path_id, ..route })
                }
            })
            .collect();
        let chunks = chunks(routes.clone());
        for chunk in &chunks {
            assert!(postcard::to_stdvec(chunk).unwrap().len() + 32 <= ipc::channel::MAX_DATAGRAM);
        }
        assert_eq!(chunks.concat(), routes);
    }
}
