//! Figures of the processes themselves.

use ipc::Role;
use ipc::figures::{Process, Traffic, Usage};
use ipc::report::Protection;

use super::{Snapshot, of};
use crate::exposition::{Metric, Text};

/// Writes what is known of the processes and of the channels between them.
pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    let Snapshot { session, rde, parent } = snapshot;
    let seen = [
        (Role::Parent, parent.up, parent.at),
        (Role::Session, session.up, session.at),
        (Role::Rde, rde.up, rde.at),
    ];
    let mut samples = text.metric(&of::ENGINE_UP);
    for (role, up, _) in seen {
        samples.sample(&[role.name()], u8::from(up));
    }
    let mut samples = text.metric(&of::FIGURES_AGE);
    for (role, _, at) in seen {
        if let Some(at) = at {
            samples.sample(&[role.name()], at.elapsed().as_secs_f64());
        }
    }
    let dynamic = parent.figures.dynamic;
    text.metric(&of::DYNAMIC).sample(&[], dynamic.present);
    text.metric(&of::DYNAMIC_LIMIT).sample(&[], dynamic.limit);
    text.metric(&of::DYNAMIC_REFUSED).sample(&[], dynamic.refused);
    processes(text, &parent.figures.processes);
    let own = ipc::figures::traffic();
    let traffic = [
        (Role::Parent, &parent.figures.traffic),
        (Role::Session, &session.figures.1.0),
        (Role::Rde, &rde.figures.2),
        (Role::Control, &own),
    ];
    channels(text, &of::IPC_MESSAGES, &traffic, |t| [t.sent.messages, t.received.messages]);
    channels(text, &of::IPC_BYTES, &traffic, |t| [t.sent.octets, t.received.octets]);
}

fn processes(text: &mut Text, processes: &[Process]) {
    // Milliseconds of CPU time are exact in a float for as long as a machine lasts.
    #[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats")]
    usage(text, &of::CPU, processes, |u| u.cpu_ms as f64 / 1000.0);
    usage(text, &of::RESIDENT, processes, |u| u.resident);
    usage(text, &of::THREADS, processes, |u| u.threads);
    each(text, &of::STARTED, processes, |p| p.started);
    each(text, &of::RESTARTS, processes, |p| p.restarts);
    each(text, &of::QUEUED, processes, |p| p.queued.into());
    let mut samples = text.metric(&of::SANDBOX);
    for process in processes {
        let Some(sandbox) = process.sandbox else { continue };
        for protection in Protection::ALL {
            let on = u8::from(sandbox.has(protection));
            samples.sample(&[process.role.name(), protection.name()], on);
        }
    }
}

fn each(text: &mut Text, metric: &'static Metric, processes: &[Process], f: impl Fn(&Process) -> u64) {
    let mut samples = text.metric(metric);
    for process in processes {
        samples.sample(&[process.role.name()], f(process));
    }
}

fn usage<T: crate::exposition::Value>(
    text: &mut Text,
    metric: &'static Metric,
    processes: &[Process],
    f: impl Fn(&Usage) -> T,
) {
    let mut samples = text.metric(metric);
    for process in processes {
        if let Some(usage) = &process.usage {
            samples.sample(&[process.role.name()], f(usage));
        }
    }
}

fn channels(
    text: &mut Text,
    metric: &'static Metric,
    traffic: &[(Role, &Vec<Traffic>)],
    f: impl Fn(&Traffic) -> [u64; 2],
) {
    let mut samples = text.metric(metric);
    for (role, traffic) in traffic {
        for t in traffic.iter() {
            for (direction, n) in ["sent", "received"].into_iter().zip(f(t)) {
                samples.sample(&[role.name(), t.with.name(), direction], n);
            }
        }
    }
}
