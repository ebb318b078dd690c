//! The command line as users have it: the built binary over generated logs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// A day of a small domain with faults in it, made once.
static DAY: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("day.ndjson");
    let faults = "--events 3000 --hosts 4 --shape mixed --shuffle 200 --duplicates 2 --late-creates 20 --missing-creates 10 --zero-guids 1";
    let out = helkflow(
        &["generate", "-o", text(&path)].into_iter().chain(faults.split(' ')).collect::<Vec<_>>(),
    );
    assert!(out.status.success(), "{}", err(&out));
    path
});

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helkflow"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR").env("COLUMNS", "200");
    command
}

fn helkflow(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn spawn(args: &[&str]) -> Child {
    command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs `replay` over the day; it must succeed.
fn replay(options: &[&str]) -> Output {
    let out = helkflow(&[&["replay", text(&DAY)], options].concat());
    assert_eq!(out.status.code(), Some(0), "{options:?}: {}", err(&out));
    out
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn err(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}

/// Standard output as JSON lines: there must be nothing else.
fn rows(out: &Output) -> Vec<Value> {
    std::str::from_utf8(&out.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Two addresses that nobody listens on.
fn free_addresses() -> [String; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string())
}

/// Must end with this code and say this; nothing may be on standard output.
#[track_caller]
fn fails(args: &[&str], code: i32, says: &str) {
    let out = helkflow(args);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {}", err(&out));
    assert!(err(&out).contains(says), "{args:?}: {}", err(&out));
    assert!(out.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
}

mod results {
    use super::*;

    #[test]
    fn are_the_same_whatever_the_workers_and_chunks() {
        let one = replay(&["-w", "1"]);
        assert!(rows(&one).len() > 100);
        for options in [
            &["-w", "2"][..],
            &["-w", "4", "--chunk-bytes", "5000"],
            &["-w", "1", "--chunk-bytes", "70000"],
        ] {
            assert!(replay(options).stdout == one.stdout, "{options:?}");
        }
    }

    #[test]
    fn are_sorted_by_key() {
        for dataflow in ["process_network", "processes", "process_tree", "sysmon_join"] {
            let out = replay(&["-d", dataflow]);
            assert!(!out.stdout.is_empty(), "{dataflow}");
        }
        let keys: Vec<String> = rows(&replay(&[]))
            .iter()
            .map(|row| row["EVENT_KEY"].as_str().unwrap().to_owned())
            .collect();
        assert!(keys.is_sorted());
    }

    #[test]
    fn agree_with_what_the_generator_knows() {
        let expected: Value = serde_json::from_str(
            &fs::read_to_string(format!("{}.expected.json", DAY.display())).unwrap(),
        )
        .unwrap();
        let mut knowledge: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows(&replay(&[])) {
            *knowledge.entry(row["KNOWLEDGE"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let connections = &expected["connections"];
        assert_eq!(knowledge["complete"], connections["complete"].as_u64().unwrap());
        assert_eq!(knowledge["partial"], connections["partial"].as_u64().unwrap());
        let orphans =
            connections["orphan"].as_u64().unwrap() + connections["zero_guid"].as_u64().unwrap();
        assert_eq!(knowledge["orphan"], orphans);
    }

    #[test]
    fn of_two_processes_equal_those_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let hostfile = folder.path().join("hosts");
        fs::write(&hostfile, format!("# two\n{}\n", free_addresses().join("\n"))).unwrap();
        for options in [&["--chunk-bytes", "50000"][..], &["--changes"]] {
            let process = |index| {
                spawn(
                    &[
                        &[
                            "replay",
                            text(&DAY),
                            "-w",
                            "2",
                            "-n",
                            "2",
                            "-p",
                            index,
                            "-H",
                            text(&hostfile),
                        ],
                        options,
                    ]
                    .concat(),
                )
            };
            let (first, second) = (process("0"), process("1"));
            let (first, second) =
                (first.wait_with_output().unwrap(), second.wait_with_output().unwrap());
            assert_eq!(
                (first.status.code(), second.status.code()),
                (Some(0), Some(0)),
                "{}\n{}",
                err(&first),
                err(&second)
            );
            assert!(second.stdout.is_empty());
            assert!(
                err(&second).contains("records") && !err(&second).contains("joined"),
                "{}",
                err(&second)
            );
            if options[0] == "--changes" {
                assert_eq!(content(&rows(&first)), content(&rows(&replay(&["--changes"]))));
            } else {
                assert!(first.stdout == replay(&[]).stdout);
            }
        }
    }

    /// What changes add up to.
    fn content(changes: &[Value]) -> BTreeMap<String, i64> {
        let mut content = BTreeMap::new();
        for change in changes {
            *content.entry(change["row"].to_string()).or_default() +=
                change["diff"].as_i64().unwrap();
        }
        content.retain(|_, count| *count != 0);
        content
    }

    #[test]
    fn as_changes_add_up_to_the_content() {
        let changes = rows(&replay(&["--changes"]));
        let rows = rows(&replay(&[]));
        let of_rows: BTreeMap<String, i64> = rows.iter().map(|row| (row.to_string(), 1)).collect();
        assert_eq!(content(&changes), of_rows);
        assert!(changes.is_sorted_by_key(|change| change["tick"].as_u64().unwrap()));
        for change in &changes {
            let names: Vec<&String> = change.as_object().unwrap().keys().collect();
            assert_eq!(names, ["tick", "diff", "revision", "late", "row"]);
        }
    }

    #[test]
    fn as_csv_say_the_same_as_json() {
        let json = rows(&replay(&[]));
        let out = replay(&["--format", "csv"]);
        let mut reader = csv::Reader::from_reader(&out.stdout[..]);
        let header = reader.headers().unwrap().clone();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), json.len());
        for (record, row) in records.iter().zip(&json) {
            for (name, field) in header.iter().zip(record) {
                match &row[name] {
                    Value::Null => assert_eq!(field, ""),
                    Value::String(text) => assert_eq!(field, text),
                    other => assert_eq!(field, other.to_string()),
                }
            }
        }
    }

    #[test]
    fn of_network_views_have_names_of_others() {
        let own = rows(&replay(&[]));
        // what a rendering has under these paths is what the view has in these columns
        for (kind, paths) in [
            (
                "flat",
                [
                    "/EventKey",
                    "/TimeCreated",
                    "/Image",
                    "/CommandLine",
                    "/DestinationIp",
                    "/DestinationPort",
                ],
            ),
            (
                "helk",
                [
                    "/EVENT_KEY",
                    "/EVENT_TIME",
                    "/N_PROCESS_PATH",
                    "/PROCESS_COMMAND_LINE",
                    "/DST_IP_ADDR",
                    "/DST_PORT",
                ],
            ),
            (
                "ecs",
                [
                    "/event/id",
                    "/@timestamp",
                    "/process/executable",
                    "/process/command_line",
                    "/destination/ip",
                    "/destination/port",
                ],
            ),
        ] {
            let rendered = rows(&replay(&["--as", kind]));
            assert_eq!(rendered.len(), own.len());
            let columns = [
                "EVENT_KEY",
                "EVENT_TIME",
                "IMAGE",
                "COMMAND_LINE",
                "DESTINATION_IP",
                "DESTINATION_PORT",
            ];
            for (rendered, own) in rendered.iter().zip(&own) {
                for (path, column) in paths.iter().zip(columns) {
                    assert_eq!(
                        rendered.pointer(path).unwrap_or(&Value::Null),
                        &own[column],
                        "{kind} {path}: {rendered}"
                    );
                }
            }
            for change in rows(&replay(&["--as", kind, "--changes"])) {
                assert!(change["row"].pointer(paths[0]).is_some(), "{change}");
            }
        }
        // no column that a rendering knows has another name in the view that it is for
        for field in helkflow::format::rendering::Field::ALL {
            assert!(own[0].get(field.name()).is_some(), "{field:?}");
        }
        fails(&["replay", text(&DAY), "--as", "ecs", "--format", "csv"], 2, "--as ecs writes JSON");
        fails(
            &["replay", text(&DAY), "--as", "flat", "-d", "process_tree"],
            2,
            "PROCESS_TREE is not a network view",
        );
        fails(
            &["run", "process_tree", "--as", "helk", "--bootstrap-servers", "127.0.0.1:1"],
            2,
            "--as helk is for network views",
        );
        fails(&["run", "process_tree", "--as", "xml"], 2, "[possible values: flat, helk, ecs]");
    }

    #[test]
    fn as_a_table_are_for_reading() {
        let out = replay(&["--format", "table"]);
        let shown = String::from_utf8(out.stdout).unwrap();
        assert!(shown.starts_with("── row 1 ─"), "{shown}");
        assert!(!shown.contains('\u{1b}'));
        fails(&["replay", text(&DAY), "--format", "table", "--changes"], 2, "table");
    }

    #[test]
    fn go_to_a_file_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.ndjson");
        let out = replay(&["-o", text(&path)]);
        assert!(out.stdout.is_empty());
        assert!(fs::read(&path).unwrap() == replay(&[]).stdout);
        assert_eq!(names(folder.path()), ["rows.ndjson"]);
    }

    #[test]
    fn come_from_standard_input_and_from_topics_alike() {
        let whole = replay(&[]).stdout;
        let out = command(&["replay", "-"]).stdin(File::open(&*DAY).unwrap()).output().unwrap();
        assert!(out.stdout == whole);
        let topic = format!("winlogbeat={}", DAY.display());
        assert!(helkflow(&["replay", "--topic", &topic]).stdout == whole);
    }

    #[test]
    fn standard_input_is_not_shared_by_two_readings() {
        let folder = tempfile::tempdir().unwrap();
        let sql = folder.path().join("two.sql");
        let statements = "CREATE STREAM a WITH (KAFKA_TOPIC='a', VALUE_FORMAT='SYSMON');
            CREATE STREAM b WITH (KAFKA_TOPIC='b', VALUE_FORMAT='SYSMON');
            CREATE STREAM both AS SELECT host FROM a UNION ALL SELECT host FROM b;";
        fs::write(&sql, statements).unwrap();
        let args = ["replay", "-d", text(&sql), "-"];
        let out = command(&args).stdin(File::open(&*DAY).unwrap()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            !out.status.success() && said.contains("standard input (-) can be read only once"),
            "{said}"
        );
    }

    #[test]
    fn of_any_view_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let sql = folder.path().join("two.sql");
        let statements = "CREATE STREAM events WITH (KAFKA_TOPIC='x', VALUE_FORMAT='SYSMON');
            CREATE STREAM dns AS SELECT host, query_name FROM events WHERE event_id = 22;
            CREATE TABLE hosts AS SELECT host, COUNT(*) AS n FROM events GROUP BY host;";
        fs::write(&sql, statements).unwrap();
        let out = replay(&["-d", text(&sql)]);
        assert!(std::str::from_utf8(&out.stdout).unwrap().lines().is_sorted());
        let last = rows(&out);
        assert_eq!(last.len(), 4);
        assert_eq!(last[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["HOST", "N"]);
        let dns = replay(&["-d", text(&sql), "--view", "dns"]);
        assert!(!dns.stdout.is_empty());
        fails(&["replay", text(&DAY), "-d", text(&sql), "--view", "nix"], 2, "DNS, HOSTS");
        // a SELECT that ends the statements is what they are for; a run has nowhere to show it
        fs::write(&sql, format!("{statements}\nSELECT n FROM hosts;")).unwrap();
        assert!(
            rows(&replay(&["-d", text(&sql)])).iter().all(|row| row
                .as_object()
                .unwrap()
                .keys()
                .eq(["N"]))
        );
        let place = "line 4, column 1: a run shows nothing";
        fails(&["run", text(&sql), "--bootstrap-servers", "127.0.0.1:1"], 2, place);
        fails(
            &["run", text(&sql), "--view", "hosts", "--bootstrap-servers", "127.0.0.1:1"],
            2,
            place,
        );
    }

    #[test]
    fn are_as_many_as_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let sql = folder.path().join("limit.sql");
        let select = "CREATE STREAM e WITH (KAFKA_TOPIC='x', VALUE_FORMAT='SYSMON'); SELECT channel, image FROM e WHERE event_id = 3";
        fs::write(&sql, format!("{select};")).unwrap();
        let all = rows(&replay(&["-d", text(&sql)]));
        fs::write(&sql, format!("{select} LIMIT 7;")).unwrap();
        for workers in ["1", "2"] {
            assert_eq!(rows(&replay(&["-d", text(&sql), "-w", workers])), all[..7]);
        }
        fails(&["replay", text(&DAY), "-d", text(&sql), "--changes"], 2, "LIMIT");
    }
}

mod filters {
    use super::*;

    #[test]
    fn choose_what_is_written() {
        let all = rows(&replay(&[]));
        let first = &all[all.len() / 2];
        let host = first["HOST"].as_str().unwrap();
        let short = host.split('.').next().unwrap().to_uppercase();
        let pid = first["PROCESS_ID"].to_string();
        let time = first["EVENT_TIME"].as_str().unwrap();
        let image = |row: &Value| row["IMAGE"].as_str().unwrap_or_default().to_lowercase();
        let since = |row: &Value| row["EVENT_TIME"].as_str().unwrap() >= time;
        let same = |row: &Value, name: &str| row[name] == first[name];
        #[expect(clippy::type_complexity)]
        let cases: [(&[&str], &dyn Fn(&Value) -> bool); 7] = [
            (&["--host", host], &|row| same(row, "HOST")),
            (&["--host", &short], &|row| same(row, "HOST")),
            (&["--image", "SVCHOST"], &|row| image(row).contains("svchost")),
            (&["--image", "c:\\windows\\*.EXE"], &|row| {
                image(row).starts_with("c:\\windows\\")
                    && image(row).rsplit('.').next() == Some("exe")
            }),
            (&["--pid", &pid], &|row| same(row, "PROCESS_ID")),
            (&["--from", time], &since),
            (&["--to", time, "--host", host], &|row| !since(row) && same(row, "HOST")),
        ];
        for (options, wanted) in cases {
            let expected: Vec<&Value> = all.iter().filter(|row| wanted(row)).collect();
            assert!(
                !expected.is_empty() && expected.len() < all.len(),
                "{options:?} chooses {} of {}",
                expected.len(),
                all.len()
            );
            let written = rows(&replay(options));
            assert_eq!(written.iter().collect::<Vec<_>>(), expected, "{options:?}");
        }
        let none = replay(&["--host", "nowhere"]);
        assert!(err(&none).contains("filters left out every row"), "{}", err(&none));
    }

    #[test]
    fn need_their_column() {
        let day = text(&DAY);
        fails(
            &["replay", day, "-d", "sysmon_join", "--host", "x"],
            2,
            "--host needs a view with a column HOST",
        );
        fails(&["replay", day, "--image", "a[", "-q"], 2, "--image");
        fails(&["replay", day, "--from", "yesterday"], 2, "expected a time");
    }
}

mod usage {
    use super::*;

    #[test]
    fn errors_are_found_before_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let day = text(&DAY);
        fails(&["replay"], 2, "INPUT");
        fails(&["replay", &path("nix.json")], 2, "no such file or folder");
        fails(&["replay", &path("*.json")], 2, "no file matches");
        fails(&["replay", text(folder.path())], 2, "nothing to read in this folder");
        fails(&["replay", day, "-o", &path("no/out")], 2, "cannot create");
        fails(&["replay", day, "--dead-letters", &path("no/out")], 2, "cannot create");
        fails(&["replay", day, "-d", "proces_network"], 2, "did you mean process_network?");
        fails(&["replay", day, "-d", &path("nix.sql")], 2, "nix.sql");
        fails(&["replay", day, "-w", "0"], 2, "-w");
        fails(&["replay", day, "--format", "xml"], 2, "ndjson");
        fails(&["replay", day, "--topic", "nix=x"], 2, "no statement reads topic nix");
        fails(&["replay", day, "--allowed-lateness", "5"], 2, "90s");
        fails(&["replay", day, "-n", "2", "-p", "1"], 2, "HOSTFILE");
        fails(&["replay", day, "-n", "2"], 2, "HOSTFILE");
        fs::write(path("hosts"), "a:1\n").unwrap();
        fails(&["replay", day, "-n", "2", "-p", "0", "-H", &path("hosts")], 2, "has 1 addresses");
        fails(
            &["replay", day, "-n", "2", "-p", "2", "-H", &path("hosts")],
            2,
            "there is no process 2 of 2",
        );
        assert_eq!(names(folder.path()), ["hosts"]);
    }

    #[test]
    fn errors_in_sql_have_a_caret() {
        let folder = tempfile::tempdir().unwrap();
        let sql = folder.path().join("x.sql");
        for (select, says) in [
            ("SELECT imagee FROM e", "IMAGEE"),
            ("SELECT nofunction(image) FROM e", "NOFUNCTION"),
            ("SELECT image FROM e WHERE image", "BOOLEAN"),
            ("SELECT image FROM e WHERE process_id = 'x' + TRUE", "x.sql"),
            ("SELECT FROM e", "expected"),
        ] {
            fs::write(&sql, format!("CREATE STREAM e WITH (KAFKA_TOPIC='t', VALUE_FORMAT='SYSMON');\nCREATE STREAM v AS {select};\n"))
                .unwrap();
            for verb in [&["replay", text(&DAY), "-d"][..], &["explain"]] {
                let args = [verb, &[text(&sql)]].concat();
                fails(&args, 2, says);
                let shown = err(&helkflow(&args));
                assert!(
                    shown.contains("line 2, column ")
                        && shown.contains("\n2 | CREATE STREAM v")
                        && shown.contains('^'),
                    "{shown}"
                );
            }
        }
        fs::write(&sql, "CREATE STREAM e WITH (KAFKA_TOPIC='t', VALUE_FORMAT='SYSMON');").unwrap();
        fails(&["replay", text(&DAY), "-d", text(&sql)], 2, "the statements show nothing");
    }

    #[test]
    fn help_has_examples() {
        for verb in ["replay", "explain", "dataflows", "generate", "completions", "man"] {
            let out = helkflow(&[verb, "--help"]);
            assert_eq!(out.status.code(), Some(0));
            let help = String::from_utf8(out.stdout).unwrap();
            assert!(help.contains("Examples:\n  "), "{help}");
        }
        assert!(
            String::from_utf8(helkflow(&["--version"]).stdout).unwrap().starts_with("helkflow ")
        );
    }
}

mod bad_input {
    use super::*;

    fn run(name: &str, bytes: &[u8], options: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        helkflow(&[&["replay", text(&path)], options].concat())
    }

    #[track_caller]
    fn survives(out: &Output, says: &[&str]) {
        assert_eq!(out.status.code(), Some(0), "{}", err(out));
        for says in says {
            assert!(err(out).contains(says), "{says}: {}", err(out));
        }
    }

    #[test]
    fn empty_file() {
        let out = run("empty.json", b"", &[]);
        survives(&out, &["No Sysmon event was read", "the input is empty", "1 empty"]);
        assert!(out.stdout.is_empty());
        assert!(run("empty.json", b"", &["-q"]).stderr.is_empty());
    }

    #[test]
    fn no_sysmon_in_it() {
        let line = r#"{"@timestamp":"2026-01-15T08:00:00Z","winlog":{"channel":"Security","event_id":4688,"computer_name":"a"}}"#;
        survives(&run("a.json", line.as_bytes(), &[]), &["events are of other channels"]);
        survives(
            &run("a.json", b"{\"a\":1}\n", &[]),
            &["the records are of something else", "unknown_shape", "helkflow inspect"],
        );
    }

    #[test]
    fn what_the_view_needs_is_missing() {
        let day = fs::read_to_string(&*DAY).unwrap();
        let dns: Vec<&str> = day.lines().filter(|line| line.contains("QueryName")).collect();
        let out = run("dns.json", dns.join("\n").as_bytes(), &[]);
        survives(&out, &["reads events that are not in the input", "3 (NetworkConnect)"]);
    }

    #[test]
    fn damaged_records() {
        let mut bytes = fs::read(&*DAY).unwrap();
        bytes.extend_from_slice(b"{\"broken\":\n\xff\xfe{}\n{\"a\":1}\n");
        let out = run("a.ndjson", &bytes, &[]);
        // the second line may be what the first one's value goes on with
        survives(&out, &["2 unreadable", "a.ndjson:3001", "15 bytes", "a.ndjson:3003"]);
        assert!(out.stdout == replay(&[]).stdout);
        let out = run("a.ndjson", &bytes, &["--strict", "-q"]);
        assert_eq!(out.status.code(), Some(1));
        assert!(err(&out).contains("--strict: 2"), "{}", err(&out));

        let folder = tempfile::tempdir().unwrap();
        let letters = folder.path().join("letters");
        let out = run("a.ndjson", &bytes, &["--dead-letters", text(&letters)]);
        survives(&out, &["all of them are in"]);
        assert!(!err(&out).contains("a.ndjson:3001"), "{}", err(&out));
        let letters = fs::read_to_string(&letters).unwrap();
        let letters: Vec<Value> =
            letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            letters.iter().map(|letter| letter["line"].as_u64().unwrap()).collect::<Vec<_>>(),
            [3001, 3003]
        );
        assert_eq!(letters[1]["reason"], "unknown_shape");
    }

    #[test]
    fn truncated_zip() {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        archive.start_file("day.ndjson", zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&fs::read(&*DAY).unwrap()).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        assert!(run("day.zip", &bytes, &[]).stdout == replay(&[]).stdout);
        let half = &bytes[..bytes.len() / 2];
        survives(&run("day.zip", half, &[]), &["archive"]);
        assert_eq!(run("day.zip", half, &["--strict"]).status.code(), Some(1));
    }

    #[cfg(unix)]
    #[test]
    fn unreadable_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.json");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        if File::open(&path).is_ok() {
            return eprintln!("SKIPPED: this user may read everything");
        }
        let out = helkflow(&["replay", text(&path)]);
        survives(&out, &["secret.json", "unreadable"]);
        assert_eq!(helkflow(&["replay", text(&path), "--strict"]).status.code(), Some(1));
    }
}

#[cfg(unix)]
mod endings {
    use super::*;

    #[test]
    fn full_disk() {
        if !Path::new("/dev/full").exists() {
            return eprintln!("SKIPPED: there is no /dev/full");
        }
        for options in [
            &["-o", "/dev/full"][..],
            &["-o", "/dev/full", "--changes"],
            &["-o", "/dev/full", "--format", "csv"],
        ] {
            fails(
                &[&["replay", text(&DAY)], options].concat(),
                1,
                "cannot write /dev/full: No space left on device",
            );
        }
        let full = || File::options().write(true).open("/dev/full").unwrap();
        for verb in [&["replay", text(&DAY)][..], &["dataflows"], &["explain", "process_network"]] {
            let out = command(verb).stdout(full()).output().unwrap();
            assert_eq!(out.status.code(), Some(1), "{verb:?}");
            assert!(
                err(&out).contains("cannot write to stdout: No space left on device"),
                "{}",
                err(&out)
            );
        }
        let bad = tempfile::NamedTempFile::new().unwrap();
        fs::write(&bad, "{\n".repeat(3)).unwrap();
        fails(
            &["replay", text(bad.path()), "--dead-letters", "/dev/full"],
            1,
            "cannot write dead letters",
        );
    }

    #[test]
    fn closed_pipe() {
        for options in [&[][..], &["--changes"], &["--format", "csv"], &["--format", "table"]] {
            let mut child = spawn(&[&["replay", text(&DAY)], options].concat());
            let mut out = child.stdout.take().unwrap();
            out.read_exact(&mut [0; 10]).unwrap();
            drop(out);
            let out = child.wait_with_output().unwrap();
            assert_eq!(out.status.code(), Some(0), "{options:?}");
            assert_eq!(err(&out), "", "{options:?}");
        }
        let mut child = spawn(&["explain", "process_network"]);
        drop(child.stdout.take());
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }

    /// Interrupts a run that waits for more input.
    fn interrupted(signal: &str, options: &[&str]) -> (Output, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut child = spawn(&[&["replay", "-", "-o", text(&path)], options].concat());
        let mut input = child.stdin.take().unwrap();
        input.write_all(&fs::read(&*DAY).unwrap()).unwrap();
        // The run has its handler before it has its output.
        while names(folder.path()).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "the run has ended");
            std::thread::yield_now();
        }
        assert!(
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let out = child.wait_with_output().unwrap();
        drop(input);
        (out, names(folder.path()))
    }

    #[test]
    fn interruption() {
        for signal in ["-INT", "-TERM"] {
            for options in [&[][..], &["--changes"]] {
                let (out, files) = interrupted(signal, options);
                assert_eq!(out.status.code(), Some(130), "{}", err(&out));
                assert_eq!(files, [""; 0]);
                assert!(err(&out).contains("INTERRUPTED"), "{}", err(&out));
            }
        }
    }

    #[test]
    fn rows_of_a_stream_are_in_the_order_of_their_records() {
        let folder = tempfile::tempdir().unwrap();
        let (sql, first, second) = (
            folder.path().join("x.sql"),
            folder.path().join("b.json"),
            folder.path().join("a.json"),
        );
        let source = "CREATE STREAM s (id INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
            CREATE STREAM other (id INT) WITH (KAFKA_TOPIC='other', VALUE_FORMAT='JSON');";
        let lines = |ids: std::ops::Range<i32>| {
            ids.rev().map(|id| format!("{{\"id\":{id}}}\n")).collect::<Vec<_>>().concat()
        };
        fs::write(&first, lines(5..10)).unwrap();
        fs::write(&second, lines(0..5)).unwrap();
        let run = |query: &str, more: &[&str]| {
            fs::write(&sql, format!("{source} {query}")).unwrap();
            let inputs = ["replay", "-d", text(&sql), text(&first), text(&second)];
            helkflow(&[&inputs[..], more].concat())
        };
        let ids = |out: &Output| {
            rows(out).iter().map(|row| row["ID"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        for more in [&["-w", "1"][..], &["-w", "3", "--chunk-bytes", "10"]] {
            let all: Vec<i64> = (5..10).rev().chain((0..5).rev()).collect();
            assert_eq!(ids(&run("SELECT id FROM s;", more)), all);
            assert_eq!(ids(&run("SELECT id FROM s WHERE id < 9 LIMIT 2;", more)), [8, 7]);
            let table = "SELECT id, COUNT(*) AS n FROM s GROUP BY id LIMIT 2;";
            assert_eq!(ids(&run(table, more)), [0, 1]);
        }
        // a topic that some statement reads may have its input, whether or not what is shown reads
        // it
        let other = format!("other={}", text(&first));
        assert_eq!(run("SELECT id FROM s;", &["--topic", &other]).status.code(), Some(0));
        let none = format!("nix={}", text(&first));
        let out = run("SELECT id FROM s;", &["--topic", &none]);
        assert_eq!(out.status.code(), Some(2));
        assert!(err(&out).contains("no statement reads topic nix"), "{}", err(&out));
        // nobody asked for Sysmon
        let out = run("SELECT id FROM s WHERE id = 99;", &[]);
        assert!(err(&out).contains("No record meets the conditions"), "{}", err(&out));
        assert!(!err(&out).contains("Sysmon event"), "{}", err(&out));
    }

    /// A recursion that has three times as many rows with every round.
    fn exploding(folder: &Path) -> [std::path::PathBuf; 2] {
        let (sql, edges) = (folder.join("x.sql"), folder.join("e.json"));
        let text = "SET 'helkflow.recursion.rounds' = '1000000';
            CREATE STREAM e (src INT, dst INT) WITH (KAFKA_TOPIC='e', VALUE_FORMAT='JSON');
            CREATE TABLE edges AS SELECT DISTINCT ON (src, dst) src, dst FROM e;
            SELECT * FROM (WITH RECURSIVE walk AS (
                SELECT dst AS at, CAST(dst AS BIGINT) AS way FROM edges
                UNION ALL SELECT e.dst, w.way * 3 + e.dst FROM walk w JOIN edges e ON w.at = e.src)
            SELECT at, way FROM walk) w;";
        fs::write(&sql, text).unwrap();
        let edge = |i: i32| format!("{{\"src\":{},\"dst\":{}}}\n", i / 3, i % 3);
        fs::write(&edges, (0..9).map(edge).collect::<String>()).unwrap();
        [sql, edges]
    }

    #[test]
    fn a_busy_run_ends_at_the_first_signal() {
        let folder = tempfile::tempdir().unwrap();
        let [sql, edges] = exploding(folder.path());
        let path = folder.path().join("out");
        // the limit is there for the machine that runs the test
        let mut child = spawn(&[
            "replay",
            text(&edges),
            "-d",
            text(&sql),
            "-o",
            text(&path),
            "--memory-limit",
            "4G",
        ]);
        while !names(folder.path()).iter().any(|name| name.contains("unfinished")) {
            assert!(child.try_wait().unwrap().is_none(), "the run has ended");
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(130), "{}", err(&out));
        assert!(err(&out).contains("helkflow: stopping"), "{}", err(&out));
        assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
    }

    #[test]
    fn a_run_above_its_memory_ends() {
        let folder = tempfile::tempdir().unwrap();
        let [sql, edges] = exploding(folder.path());
        let out = helkflow(&["replay", text(&edges), "-d", text(&sql), "--memory-limit", "150M"]);
        assert_eq!(out.status.code(), Some(167), "{}", err(&out));
        assert!(err(&out).contains("above the limit of 150 MiB"), "{}", err(&out));
    }

    /// Starts process 0 of two and plays process 1 as far as the handshake, with this fingerprint of the dataflow; gives the real one.
    fn with_false_peer(fingerprint: &[u8]) -> (Output, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let hostfile = folder.path().join("hosts");
        let addresses = free_addresses();
        fs::write(&hostfile, addresses.join("\n")).unwrap();
        let out = folder.path().join("out");
        let mut child = spawn(&[
            "replay",
            text(&DAY),
            "-w",
            "1",
            "-n",
            "2",
            "-p",
            "0",
            "-H",
            text(&hostfile),
            "-o",
            text(&out),
        ]);
        let mut socket = loop {
            assert!(child.try_wait().unwrap().is_none(), "the run has ended");
            match std::net::TcpStream::connect(&addresses[0]) {
                Ok(socket) => break socket,
                Err(_) => std::thread::yield_now(),
            }
        };
        let (process, processes, threads) =
            (1_u32.to_be_bytes(), 2_u32.to_be_bytes(), 1_u32.to_be_bytes());
        socket
            .write_all(&[&b"helkflow"[..], &process, &processes, &threads, fingerprint].concat())
            .unwrap();
        let mut answer = vec![0; 20 + fingerprint.len()];
        socket.read_exact(&mut answer).unwrap();
        drop(socket);
        let output = child.wait_with_output().unwrap();
        assert_eq!(names(folder.path()), ["hosts"]);
        (output, answer.split_off(20))
    }

    #[test]
    fn peers_that_run_something_else_or_are_lost() {
        let (out, fingerprint) = with_false_peer(&[0; 32]);
        assert_eq!(out.status.code(), Some(1));
        assert!(err(&out).contains("another dataflow"), "{}", err(&out));
        let (out, _) = with_false_peer(&fingerprint);
        assert_eq!(out.status.code(), Some(1));
        assert!(err(&out).contains("lost the connection to another process"), "{}", err(&out));
        assert!(!err(&out).contains("panicked"), "{}", err(&out));
    }

    #[test]
    fn peers_that_do_not_come() {
        let folder = tempfile::tempdir().unwrap();
        let hostfile = folder.path().join("hosts");
        fs::write(&hostfile, format!("{}\n127.0.0.1:1\n", free_addresses()[0])).unwrap();
        let out = folder.path().join("out");
        let args = [
            "-n",
            "2",
            "-p",
            "0",
            "-H",
            text(&hostfile),
            "--connect-timeout",
            "100ms",
            "-o",
            text(&out),
        ];
        fails(
            &[&["replay", text(&DAY)], &args[..]].concat(),
            1,
            "process 1 at 127.0.0.1:1 did not connect",
        );
        assert_eq!(names(folder.path()), ["hosts"]);
    }
}

mod verbs {
    use super::*;

    #[test]
    fn dataflows() {
        let list = String::from_utf8(helkflow(&["dataflows"]).stdout).unwrap();
        for name in ["process_network", "process_tree", "processes", "sysmon_join"] {
            assert!(list.contains(&format!("{name}: ")), "{list}");
            let sql = helkflow(&["dataflows", name]).stdout;
            assert!(sql == fs::read(format!("dataflows/{name}.sql")).unwrap());
        }
        fails(&["dataflows", "nix"], 2, "process_tree");
    }

    #[test]
    fn explain() {
        let out = helkflow(&["explain", "process_network"]);
        assert_eq!(out.status.code(), Some(0), "{}", err(&out));
        let plan = String::from_utf8(out.stdout).unwrap();
        assert!(plan.contains("Arrangements") && plan.contains("PROCESS_NETWORK"), "{plan}");
        fails(&["explain", "process_network", "--view", "nix"], 2, "there is no view nix");

        let folder = tempfile::tempdir().unwrap();
        let sql = folder.path().join("x.sql");
        let source = "CREATE STREAM e WITH (KAFKA_TOPIC='x', VALUE_FORMAT='SYSMON');";
        fs::write(
            &sql,
            format!(
                "{source} EXPLAIN CREATE STREAM v AS SELECT query_name FROM e WHERE event_id = 22;"
            ),
        )
        .unwrap();
        for args in [&["explain", text(&sql)][..], &["replay", text(&DAY), "-d", text(&sql)]] {
            let out = helkflow(args);
            assert_eq!((out.status.code(), &err(&out)[..]), (Some(0), ""));
            assert!(
                String::from_utf8(out.stdout).unwrap().contains("SYSMON events 22: QUERY_NAME")
            );
        }
        fs::write(
            &sql,
            format!(
                "{source} EXPLAIN SELECT query_name FROM e; SELECT host FROM e WHERE event_id = 22;"
            ),
        )
        .unwrap();
        let out = replay(&["-d", text(&sql), "-q"]);
        assert!(err(&out).contains("Source x SYSMON: QUERY_NAME"), "{}", err(&out));
        assert!(rows(&out).iter().all(|row| row["HOST"].is_string()));
    }

    #[test]
    fn completions_and_manual() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = String::from_utf8(helkflow(&["completions", shell]).stdout).unwrap();
            assert!(script.contains("allowed-lateness"), "{shell}");
        }
        assert!(helkflow(&["man"]).stdout.starts_with(b".ie"));
        let folder = tempfile::tempdir().unwrap();
        assert!(helkflow(&["man", "--dir", text(folder.path())]).status.success());
        assert!(names(folder.path()).contains(&"helkflow-replay.1".to_owned()));
        fails(&["man", "--dir", "/no/such/folder"], 1, "cannot write to /no/such/folder");
    }

    #[test]
    fn a_run_says_what_it_read() {
        let out = replay(&[]);
        let summary = err(&out);
        for part in [
            "1 read",
            "3,000",
            "NetworkConnect",
            "complete",
            "whose create event (1) is not in the input",
            "events/s",
        ] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        assert!(!summary.contains('\u{1b}'), "{summary}");
        assert_eq!(err(&replay(&["-q"])), "");
    }
}
