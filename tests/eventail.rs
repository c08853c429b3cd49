//! Our services and daemons against the real eventail 2.3.6 from PyPI: its scripts, and a service written with it. The tools
//! (`oat bus …`) have their own tests against it, in `tools/eventail.rs`.

mod support;

#[path = "eventail/daemons.rs"]
mod daemons;
#[path = "eventail/scripts.rs"]
mod scripts;
#[path = "eventail/services.rs"]
mod services;
