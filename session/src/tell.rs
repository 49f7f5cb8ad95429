//! What others are told of a session: rde what was agreed on, the log why it ends.

use bgp::Notification;
use fsm::Session;
use ipc::session_rde::{GracefulRestart, LongLived, Negotiated};

use crate::stream::Conn;

/// For rde: what was agreed on, as far as routes depend on it.
pub(crate) fn negotiated(session: &Session, conn: &Conn) -> Negotiated {
    Negotiated {
        remote_asn: session.remote_asn.0,
        families: session.families,
        four_octet_as: session.four_octet_as,
        route_refresh: session.route_refresh,
        add_path_receive: session.add_path_receive,
        add_path_send: session.add_path_send,
        enhanced_refresh: session.enhanced_refresh,
        refresh_after_end_of_rib: session.refresh_after_end_of_rib,
        max_message: session.max_message,
        extended_next_hop: session.extended_next_hop,
        graceful: session.restart.map(graceful),
        router_id: session.router_id.0,
        local: conn.local,
        remote: conn.remote,
    }
}

fn graceful(restart: fsm::Restart) -> GracefulRestart {
    GracefulRestart {
        restarting: restart.restarting,
        notification: restart.notification,
        restart_time: restart.restart_time,
        families: restart.families,
        forwarding: restart.forwarding,
        long_lived: restart
            .long_lived
            .map(|l| LongLived { stale_times: l.stale_times, forwarding: l.forwarding }),
    }
}

/// The names of families.
pub(crate) fn names(families: bgp::FamilySet) -> String {
    families.iter().map(bgp::Family::name).collect::<Vec<_>>().join(",")
}

/// A line of log about a NOTIFICATION.
pub(crate) fn log_notification(direction: &str, n: &Notification, detail: &str) {
    // What a Hard Reset carries is read like a NOTIFICATION of its own (RFC 8538 §5.2).
    let inner = n.hard_reset_inner();
    let told = inner.as_ref().unwrap_or(n);
    tracing::info!(
        code = n.code,
        subcode = n.subcode,
        code_name = n.code_name().unwrap_or("unknown"),
        subcode_name = n.subcode_name().unwrap_or(""),
        communication = told.shutdown_communication(),
        data_len = n.data.len(),
        detail,
        "NOTIFICATION {direction}"
    );
}
