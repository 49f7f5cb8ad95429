//! What a client of the API cannot change in the configuration file, though it may write the rest of it: who the engines run as,
//! who may use the API, and files of this machine. Whoever breaks into control, which clients talk to, gains no more rights on the
//! system than it has.

use ipc::edit::{EditError, Refusal};
use toml::{Table, Value};

/// The keys, by the tables that they are in.
const BEYOND: [&[&str]; 8] = [
    &["include"],
    &["global", "user"],
    &["global", "group"],
    &["global", "runtime_state_dir"],
    &["global", "telemetry", "grpc_uds"],
    &["global", "telemetry", "grpc_tcp"],
    &["rpki", "slurm_file"],
    &["mrt", "output_dir"],
];

/// Checks that `after` says the same of these keys as the file that is in force. Comes before the text is read as a
/// configuration, so that what it names is not even looked at.
///
/// # Errors
/// Where one of them differs.
pub(crate) fn unchanged_beyond_clients(before: &[u8], after: &str) -> Result<(), EditError> {
    // What is no TOML is for the reader of the configuration to say.
    let Ok(after) = after.strip_prefix('\u{feff}').unwrap_or(after).parse::<Table>() else { return Ok(()) };
    let before = str::from_utf8(before).unwrap_or_default();
    let before = before.strip_prefix('\u{feff}').unwrap_or(before).parse::<Table>().unwrap_or_default();
    for path in BEYOND {
        if get(&before, path) != get(&after, path) {
            let key = path.join(".");
            let why = format!(
                "{key} is not the one of the file that is in force: it concerns rights and files of the machine, which are \
                 for its operator to change. Edit the configuration file there, and have it read (SIGHUP) or start again"
            );
            return Err(EditError::about(Refusal::Precondition, &key, "", why));
        }
    }
    Ok(())
}

fn get<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (last, tables) = path.split_last()?;
    let mut table = table;
    for key in tables {
        table = table.get(*key)?.as_table()?;
    }
    table.get(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[global]\nasn = 65001\nuser = \"bgp\"\n[global.telemetry]\n[global.telemetry.grpc_uds]\nmode = 0o660\n";

    fn refused(after: &str) -> Option<String> {
        unchanged_beyond_clients(FILE.as_bytes(), after).err().map(|e| e.field)
    }

    #[test]
    fn rights_and_files_of_the_machine_are_beyond_clients() {
        for (from, to, key) in [
            ("user = \"bgp\"", "user = \"root\"", "global.user"),
            ("user = \"bgp\"\n", "", "global.user"),
            ("asn = 65001", "asn = 65001\ngroup = \"root\"", "global.group"),
            ("asn = 65001", "asn = 65001\nruntime_state_dir = \"/etc\"", "global.runtime_state_dir"),
            ("0o660", "0o666", "global.telemetry.grpc_uds"),
            ("[global]", "include = [\"/etc/*\"]\n[global]", "include"),
            (
                "[global.telemetry.grpc_uds]",
                "grpc_tcp.address = \"[::]:1\"\n[global.telemetry.grpc_uds]",
                "global.telemetry.grpc_tcp",
            ),
            ("[global]", "[mrt]\noutput_dir = \"/etc\"\n[global]", "mrt.output_dir"),
            ("[global]", "[rpki]\nslurm_file = \"/etc/shadow\"\n[global]", "rpki.slurm_file"),
        ] {
            let after = FILE.replace(from, to);
            assert_eq!(refused(&after).as_deref(), Some(key), "{after}");
        }
    }

    #[test]
    fn everything_else_is_theirs() {
        for after in [
            FILE.to_owned(),
            format!("\u{feff}# other\n{}", FILE.replace("0o660", "432").replace("65001", "65002")),
            format!("{FILE}[[neighbors]]\naddress = \"10.0.0.2\"\n"),
            "no toml".to_owned(),
        ] {
            assert_eq!(refused(&after), None, "{after}");
        }
    }
}
