//! Input: one octet that chooses the engine, then what it sends to the parent: a datagram, and of control also the octets of
//! a change of the configuration, in parts.
#![no_main]

use ipc::edit::{Assembly, EditPart};
use ipc::parent_control::ControlToParent;
use ipc::parent_rde::RdeToParent;
use ipc::parent_session::SessionToParent;
use ipc::{Message, QueryId};
use libfuzzer_sys::fuzz_target;

/// What decodes is written as it was read, or shorter: a number may have been padded.
fn datagram<M: Message + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok((message, rest)) = postcard::take_from_bytes::<M>(data) else { return };
    let again = postcard::to_stdvec(&message).expect("what was read can be written");
    assert!(again.len() <= data.len() - rest.len());
    assert_eq!(postcard::from_bytes::<M>(&again).as_ref(), Ok(&message));
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 4 {
        0 => datagram::<SessionToParent>(data),
        1 => datagram::<RdeToParent>(data),
        2 => datagram::<ControlToParent>(data),
        _ => {
            let mut assembly = Assembly::default();
            let size = usize::from(choice / 4) + 1;
            let count = data.len().div_ceil(size);
            for (n, octets) in data.chunks(size).enumerate() {
                let part = EditPart { id: QueryId(1), octets: octets.to_vec(), last: n + 1 == count };
                if assembly.take(part).is_err() {
                    return;
                }
            }
        }
    }
});
