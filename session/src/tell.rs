//! What others are told of a session: rde what was agreed on, the log why it ends.

use bgp::Notification;
use fsm::Session;
use ipc::session_rde::Negotiated;

use crate::stream::Conn;

/// For rde: what was agreed on, as far as routes depend on it.
pub(crate) fn negotiated(session: &Session, conn: &Conn) -> Negotiated {
    Negotiated {
        families: session.families,
        four_octet_as: session.four_octet_as,
        route_refresh: session.route_refresh,
        add_path_receive: bgp::FamilySet::EMPTY,
        add_path_send: bgp::FamilySet::EMPTY,
        max_message: session.max_message,
        extended_next_hop: session.extended_next_hop,
        router_id: session.router_id.0,
        local: conn.local,
        remote: conn.remote,
    }
}

/// The names of families.
pub(crate) fn names(families: bgp::FamilySet) -> String {
    families.iter().map(bgp::Family::name).collect::<Vec<_>>().join(",")
}

/// A line of log about a NOTIFICATION.
pub(crate) fn log_notification(direction: &str, n: &Notification, detail: &str) {
    tracing::info!(
        code = n.code,
        subcode = n.subcode,
        code_name = n.code_name().unwrap_or("unknown"),
        subcode_name = n.subcode_name().unwrap_or(""),
        communication = n.shutdown_communication(),
        data_len = n.data.len(),
        detail,
        "NOTIFICATION {direction}"
    );
}
