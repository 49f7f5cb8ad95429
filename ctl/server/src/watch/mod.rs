//! WatchRoutes: rde tells control once of what changes ([`Feed`]), however many clients watch; each of them reads from
//! what is kept of it, at its own pace (`events`).

mod events;
mod feed;
mod ring;

pub(crate) use events::events;
pub(crate) use feed::Feed;
