//! Why things are as they are for a prefix: the three RPCs of RibService that explain.

use std::sync::Arc;

use grpc::v1;
use ipc::config::ControlPeer;
use ipc::control_rde::{ControlToRde, RdeToControl};
use ipc::explain::{Communities, ExplainedPath, ExplainedPolicy, PolicyChanges, Question};
use ipnet::IpNet;
use tonic::Status;

use crate::app::App;
use crate::convert;
use crate::view::View;

/// ExplainBestPath.
///
/// # Errors
/// INVALID_ARGUMENT for what is no prefix.
pub(super) async fn best_path(
    app: &Arc<App>,
    request: v1::ExplainBestPathRequest,
) -> Result<v1::ExplainBestPathResponse, Status> {
    let prefix = convert::prefix("prefix", &request.prefix, request.prefix_length)?;
    let paths = ask(app, Question::BestPath, prefix).await?;
    let view = app.view()?;
    let best = paths.iter().find(|p| p.chosen).map(|p| convert::route(&view, p.route.clone()));
    let candidates = paths.into_iter().map(|path| v1::BestPathCandidate {
        // The best one is compared with nothing.
        vs_best_reason: if path.chosen { String::new() } else { path.code },
        vs_best_ordering: path.ordering,
        route: Some(convert::route(&view, path.route)),
    });
    Ok(v1::ExplainBestPathResponse {
        prefix: request.prefix,
        prefix_length: request.prefix_length,
        best_route: best,
        candidates: candidates.collect(),
    })
}

/// ExplainReceivedRoute.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND for what is no prefix or no neighbor.
pub(super) async fn received(
    app: &Arc<App>,
    request: v1::ExplainReceivedRouteRequest,
) -> Result<v1::ExplainReceivedRouteResponse, Status> {
    let v1::ExplainReceivedRouteRequest { peer_address, prefix, prefix_length } = request;
    let peer = app.peer("peer_address", &peer_address)?;
    let net = convert::prefix("prefix", &prefix, prefix_length)?;
    let paths = ask(app, Question::Received(peer.id), net).await?;
    let view = app.view()?;
    let paths = paths.into_iter().map(|p| path(&view, p)).collect();
    Ok(v1::ExplainReceivedRouteResponse { peer_address, prefix, prefix_length, paths })
}

/// ExplainAdvertisedRoute.
///
/// # Errors
/// INVALID_ARGUMENT, NOT_FOUND for what is no prefix or no neighbor.
pub(super) async fn advertised(
    app: &Arc<App>,
    request: v1::ExplainAdvertisedRouteRequest,
) -> Result<v1::ExplainAdvertisedRouteResponse, Status> {
    let v1::ExplainAdvertisedRouteRequest { peer_address, prefix, prefix_length } = request;
    let peer = app.peer("peer_address", &peer_address)?;
    let net = convert::prefix("prefix", &prefix, prefix_length)?;
    let mut answer = v1::ExplainAdvertisedRouteResponse {
        peer_address,
        prefix,
        prefix_length,
        ..v1::ExplainAdvertisedRouteResponse::default()
    };
    if !carries(&peer, net) {
        answer.set_decision(v1::ExplainDecision::UnsupportedFamily);
        let message = format!("the family of {net} is not configured for the neighbor");
        answer.reasons = vec![v1::ExplainReason { code: "unsupported_family".to_owned(), message }];
        return Ok(answer);
    }
    let paths = ask(app, Question::Advertised(peer.id), net).await?;
    let view = app.view()?;
    let Some(about) = paths.iter().find(|p| p.chosen).or(paths.first()) else {
        let no_session =
            "nothing is sent to the neighbor: there is no session with it, or no route to the prefix";
        answer.set_decision(v1::ExplainDecision::NoBestRoute);
        let message = no_session.to_owned();
        answer.reasons = vec![v1::ExplainReason { code: "no_best_route".to_owned(), message }];
        return Ok(answer);
    };
    let decision = if about.chosen { v1::ExplainDecision::Advertise } else { v1::ExplainDecision::Deny };
    answer.set_decision(decision);
    let shown = convert::route(&view, about.route.clone());
    let next_hop = about.made.as_ref().map_or(about.route.next_hop, |made| made.next_hop);
    answer.next_hop = next_hop.global().to_string();
    (answer.path_id, answer.route_peer_address) = (shown.path_id, shown.peer_address);
    answer.route_type = about.route_type.clone();
    answer.reasons = vec![reason(about)];
    answer.modifications = modifications(&about.changes);
    answer.paths = paths.into_iter().map(|p| path(&view, p)).collect();
    Ok(answer)
}

fn carries(peer: &ControlPeer, prefix: IpNet) -> bool {
    let family = match prefix {
        IpNet::V4(_) => bgp::Family::Ipv4Unicast,
        IpNet::V6(_) => bgp::Family::Ipv6Unicast,
    };
    peer.families.contains(family)
}

/// Asks rde for all paths.
async fn ask(app: &Arc<App>, question: Question, prefix: IpNet) -> Result<Vec<ExplainedPath>, Status> {
    let mut query = app.rde.ask(|id| ControlToRde::Explain { id, question, prefix }).await?;
    let mut all = Vec::new();
    loop {
        match query.next().await? {
            RdeToControl::Explained { paths, last, .. } => {
                all.extend(paths);
                if last {
                    query.finish();
                    return Ok(all);
                }
            }
            _ => return Err(query.confused()),
        }
    }
}

fn reason(path: &ExplainedPath) -> v1::ExplainReason {
    v1::ExplainReason { code: path.code.clone(), message: path.message.clone() }
}

fn path(view: &View, path: ExplainedPath) -> v1::ExplainedPath {
    v1::ExplainedPath {
        reason: Some(reason(&path)),
        modifications: modifications(&path.changes),
        route: Some(convert::route(view, path.route)),
        route_type: path.route_type,
        chosen: path.chosen,
        policies: path.policies.into_iter().map(policy).collect(),
        made: path.made.map(|made| convert::route(view, made)),
    }
}

fn policy(p: ExplainedPolicy) -> v1::ExplainedPolicy {
    let action = |permits: bool| if permits { "permit" } else { "deny" }.to_owned();
    let statements = p.statements.into_iter().map(|s| v1::ExplainedStatement {
        number: s.number,
        name: s.name,
        line: s.line,
        action: action(s.permits),
        held: s.held,
        matches: (s.matches.into_iter())
            .map(|m| v1::ExplainedMatch { written: m.written, found: m.found, held: m.held })
            .collect(),
        changes: s.changes,
    });
    v1::ExplainedPolicy { name: p.name, action: action(p.permits), statements: statements.collect() }
}

/// What is changed; `None` where nothing is.
fn modifications(changes: &PolicyChanges) -> Option<v1::ExplainModifications> {
    let large = |c: &Communities| c.large.iter().map(|(a, b, c)| format!("{a}:{b}:{c}")).collect();
    let PolicyChanges { local_pref, med, next_hop, prepend, add, remove } = changes;
    (*changes != PolicyChanges::default()).then(|| v1::ExplainModifications {
        set_local_pref: *local_pref,
        set_med: *med,
        set_next_hop: next_hop.clone().unwrap_or_default(),
        communities_add: add.standard.clone(),
        communities_remove: remove.standard.clone(),
        extended_communities_add: add.extended.clone(),
        extended_communities_remove: remove.extended.clone(),
        large_communities_add: large(add),
        large_communities_remove: large(remove),
        as_path_prepend_asn: prepend.map(|(asn, _)| asn),
        as_path_prepend_count: prepend.map(|(_, count)| count.into()),
    })
}
