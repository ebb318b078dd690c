//! Examples: the traps of each shape, Elastic's renamings, and bad input.

use super::*;

fn flat(members: &str) -> String {
    format!(
        r#"{{"Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"WS1","EventID":1,{members}}}"#
    )
}

fn ecs(event: u8, members: &str) -> String {
    format!(
        r#"{{"@timestamp":"2019-06-26T21:19:43.237Z","event":{{"created":"2019-06-26T21:19:45.5Z","module":"sysmon"}},{members},
           "winlog":{{"event_id":{event},"provider_name":"Microsoft-Windows-Sysmon","channel":"Microsoft-Windows-Sysmon/Operational","computer_name":"WS1","record_id":7,
           "event_data":{{"LogonId":"0x1","X":"y"}}}}}}"#
    )
}

#[test]
fn what_belongs_to_the_collector_and_the_service_is_not_the_events() {
    let record = flat(
        r#""Image":"a","host":"wec","ProcessID":2928,"ProcessId":"4676","EventType":"INFO","Version":5,"type":"x","user":{"name":"SYSTEM"}"#,
    );
    assert_eq!(column(&record, "HOST"), "\"WS1\"");
    assert_eq!(column(&record, "PROCESS_ID"), "4676");
    for name in ["EVENT_TYPE", "VERSION", "TYPE", "USER"] {
        assert_eq!(column(&record, name), "null", "{name}");
    }
    assert_eq!(column(&flat(r#""Image":"a","ProcessID":2928"#), "PROCESS_ID"), "null");
    assert_eq!(
        column(&flat(r#""Image":"a","EventType":"SetValue""#), "EVENT_TYPE"),
        "\"SetValue\""
    );
}

#[test]
fn texts_are_verbatim_and_absence_is_null() {
    let record = flat(r#""RuleName":"-","Image":"","Company":null,"Hashes":12,"Product":{"a": 1}"#);
    for (name, value) in [
        ("RULE_NAME", r#""-""#),
        ("IMAGE", r#""""#),
        ("COMPANY", "null"),
        ("COMMAND_LINE", "null"),
        ("HASHES", r#""12""#),
        ("PRODUCT", r#""{\"a\": 1}""#),
    ] {
        assert_eq!(column(&record, name), value, "{name}");
    }
}

#[test]
fn what_does_not_fit_is_kept_and_counted() {
    let record = flat(
        r#""ProcessGuid":"garbage","ParentProcessGuid":"","LogonGuid":"{00000000-0000-0000-0000-000000000000}","SourcePort":4294967296,
           "DestinationPort":"-","ProcessId":"0x1A4","Initiated":"TRUE","Archived":"maybe","RecordNumber":"n","New":1.50"#,
    );
    assert_eq!(column(&record, "PROCESS_GUID"), "null");
    assert_eq!(column(&record, "LOGON_GUID"), "\"{00000000-0000-0000-0000-000000000000}\"");
    assert_eq!(column(&record, "PROCESS_ID"), "420");
    assert_eq!(column(&record, "INITIATED"), "true");
    assert_eq!(
        column(&record, "FIELDS"),
        r#"{"Archived":"maybe","DestinationPort":"-","New":"1.50","ParentProcessGuid":"","ProcessGuid":"garbage","RecordNumber":"n","SourcePort":"4294967296"}"#
    );
    let mut decoder = Decoder::new(&[all_columns()]);
    decoder.decode(record.as_bytes(), &META, &mut Rows::default()).unwrap();
    let misfits: Vec<_> = decoder.stats().by_column().collect();
    assert_eq!(
        misfits,
        [("RECORD_ID", 1), ("PROCESS_GUID", 1), ("ARCHIVED", 1), ("SOURCE_PORT", 1)]
    );
}

#[test]
fn the_last_of_duplicate_keys_counts_and_exact_spelling_wins() {
    assert_eq!(column(&flat(r#""Image":"a","Image":"b""#), "IMAGE"), "\"b\"");
    assert_eq!(
        column(&flat(r#""User":"u","Hashes":"h","Image":"a","Image":null"#), "IMAGE"),
        "null"
    );
    assert_eq!(column(&flat(r#""CommandLine":"a","commandline":"b""#), "COMMAND_LINE"), "\"a\"");
    assert_eq!(column(&flat(r#""COMMANDLINE":"a","commandline":"b""#), "COMMAND_LINE"), "\"b\"");
    assert_eq!(column(&flat(r#""\u0049mage":"C:\u005c\/x""#), "IMAGE"), r#""C:\\/x""#);
    let twice = r#"{"winlog":{"channel":"Security","event_data":{"Image":"a"}},"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":5,"event_data":{"UtcTime":"t"}}}"#;
    assert_eq!(column(twice, "IMAGE"), "null");
    assert_eq!(column(twice, "UTC_TIME"), "\"t\"");
}

#[test]
fn event_time_is_the_event_logs() {
    let of = |members: &str| {
        let meta = RecordMeta { timestamp: Some(Timestamp(7)), ..META };
        let mut decoder = Decoder::new(&[all_columns()]);
        let outcome =
            decoder.decode(flat(members).as_bytes(), &meta, &mut Rows::default()).unwrap();
        let Outcome::Sysmon { event_time, .. } = outcome else { panic!("not Sysmon") };
        (event_time.unwrap(), decoder.stats().without_zone)
    };
    let utc = r#""UtcTime":"2020-10-09 22:27:49.040""#;
    let arrived = |local: &str, arrival: &str| {
        of(&format!(
            r#"{utc},"EventTime":"2020-10-09 {local}","@timestamp":"2020-10-09T{arrival}Z""#
        ))
    };
    for (local, arrival, event) in [
        // by four hours, and two minutes of delay
        ("18:27:49", "22:30:01.953", "22:27:49"),
        ("18:27:49.125", "22:30:01.953", "22:27:49.125"),
        ("22:27:49", "22:28:32", "22:27:49"),
        // five hours and three quarters ahead of UTC
        ("22:12:49", "16:28:32", "16:27:49"),
        // the arrival says which part of the second
        ("18:27:49", "22:27:49.953", "22:27:49.953"),
        // the clocks of host and collector differ
        ("18:28:49", "22:28:32.5", "22:28:49"),
        // a zone fits none
        ("18:27:49", "22:36:01.953", "22:36:01.953"),
        ("05:27:49", "22:27:49.953", "22:27:49.953"),
        // the event's own zone needs no help
        ("18:27:49Z", "22:30:01.953", "18:27:49"),
    ] {
        let event = time(&format!("2020-10-09T{event}"));
        assert_eq!(arrived(local, arrival), (event, 0), "{local} {arrival}");
    }
    assert_eq!(
        of(&format!(r#"{utc},"EventTime":"2020-10-09 18:27:49""#)),
        (time("2020-10-09T18:27:49"), 1)
    );
    assert_eq!(
        of(&format!(r#"{utc},"EventTime":"2020-10-09 18:27:49 -04:00""#)),
        (time("2020-10-09T22:27:49"), 0)
    );
    assert_eq!(of(utc), (time("2020-10-09T22:27:49.040Z"), 0));
    assert_eq!(of(r#""UtcTime":"-""#), (Timestamp(7), 0));
    assert_eq!(
        of(
            r#""Image":"a","TimeCreated":"2020-10-09T22:27:49Z","@timestamp":"2021-10-09T22:27:49Z""#
        ),
        (time("2020-10-09T22:27:49"), 0)
    );
}

#[test]
fn the_time_at_which_windows_logged_an_event_comes_before_the_shippers() {
    let of = |members: &str, winlog: &str| {
        let record = format!(
            r#"{{{members},"event":{{"created":"2021-01-01T00:00:00Z"}},"winlog":{{{winlog},
               "channel":"Microsoft-Windows-Sysmon/Operational","event_id":5,
               "event_data":{{"UtcTime":"2019-06-26 21:19:43.237","Image":"a"}}}}}}"#
        );
        column(&record, "EVENT_TIME")
    };
    let shipped = r#""@timestamp":"2020-01-01T00:00:00Z""#;
    assert_eq!(of(shipped, r#""api":"x""#), r#""2020-01-01T00:00:00.000Z""#);
    for created in [r#""2019-06-26T21:19:45Z""#, "1561583985000", r#""1561583985""#] {
        let created = format!(r#""time_created":{created}"#);
        assert_eq!(of(shipped, &created), r#""2019-06-26T21:19:45.000Z""#, "{created}");
    }
    let of = |winlog: &str| {
        let members = r#""process":{"entity_id":"{42C2E005-E222-5F80-CD07-000000000400}"}"#;
        let record = ecs(5, members).replace(r#""record_id":7"#, winlog);
        column(&record, "EVENT_TIME")
    };
    assert_eq!(of(r#""record_id":7"#), r#""2019-06-26T21:19:45.500Z""#);
    assert_eq!(of(r#""time_created":1561583985"#), r#""2019-06-26T21:19:45.000Z""#);
}

#[test]
fn the_attribute_that_holds_a_time_is_found_or_missed_aloud() {
    let of = |created: &str| {
        let record = format!(
            r#"{{"Event":{{"System":{{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":5,
               "TimeCreated":{created}}},"EventData":{{"UtcTime":"2020-10-09 22:27:49.040"}}}}}}"#
        );
        let mut decoder = Decoder::new(&[all_columns()]);
        let outcome = decoder.decode(record.as_bytes(), &META, &mut Rows::default()).unwrap();
        let Outcome::Sysmon { event_time, .. } = outcome else { panic!("not Sysmon") };
        (event_time.unwrap(), decoder.stats().unreadable_times.first().map(str::to_owned))
    };
    let text = r#""2020-10-09T22:28:00Z""#;
    for created in [
        text.to_owned(),
        format!(r#"{{"SystemTime":{text}}}"#),
        format!(r##"{{"#attributes":{{"SystemTime":{text}}}}}"##),
        format!(r#"{{"@attributes":{{"SystemTime":{text}}}}}"#),
        format!(r#"{{"$":{{"SystemTime":{text}}}}}"#),
        format!(r#"{{"@SystemTime":{text}}}"#),
        format!(r#"{{"-SystemTime":{text}}}"#),
        r#"{"SystemTime":1602282480.0}"#.to_owned(),
    ] {
        assert_eq!(of(&created), (time("2020-10-09T22:28:00"), None), "{created}");
    }
    let utc = time("2020-10-09T22:27:49.040");
    let other = format!(r#"{{"When":{text}}}"#);
    assert_eq!(of(&other), (utc, Some(other.clone())));
    assert_eq!(of("null"), (utc, None));
}

#[test]
fn of_unreadable_times_the_first_is_told_whoever_reads_them() {
    let mut total = Stats::default();
    for (offset, time) in [(9, "c"), (4, "a"), (7, "b"), (5, "-"), (3, "2020-10-09T22:27:49Z")] {
        let mut decoder = Decoder::new(&[all_columns()]);
        let record = flat(&format!(r#""Image":"a","TimeCreated":"{time}""#));
        let meta = RecordMeta { offset, ..META };
        decoder.decode(record.as_bytes(), &meta, &mut Rows::default()).unwrap();
        total.add(decoder.stats());
    }
    assert_eq!((total.unreadable_times.count, total.unreadable_times.first()), (3, Some("a")));
}

#[test]
fn utc_time_is_a_time_beside_its_text() {
    for (text, read) in [
        ("2020-10-09 22:27:49.040", r#""2020-10-09T22:27:49.040Z""#),
        ("2020-10-09T22:27:49.0409999Z", r#""2020-10-09T22:27:49.040Z""#),
        ("soon", "null"),
        ("-", "null"),
    ] {
        let record = flat(&format!(r#""UtcTime":"{text}""#));
        assert_eq!(column(&record, "UTC_TIMESTAMP"), read);
        assert_eq!(column(&record, "UTC_TIME"), format!("\"{text}\""));
        let mut decoder = Decoder::new(&[all_columns()]);
        decoder.decode(record.as_bytes(), &META, &mut Rows::default()).unwrap();
        let misfits: Vec<_> = decoder.stats().by_column().collect();
        let told = (text == "soon").then_some(("UTC_TIMESTAMP", 1));
        assert_eq!(misfits, Vec::from_iter(told), "{text}");
    }
}

#[test]
fn the_clocks_of_a_host_are_compared() {
    // made at 22:22:58
    let guid = "{42C2E005-E2C2-5F80-CD07-000000000400}";
    let mut decoder = Decoder::new(&[all_columns()]);
    for (host, utc, local, arrival) in [
        ("WS1", "22:22:58.5", "18:22:58", "22:23:10"),
        ("ws1", "22:22:58.5", "18:22:58", "22:25:58"),
        ("WS2", "22:22:58.5", "22:22:58", "22:22:58.7"),
        ("WS3", "22:20:00.5", "00:22:58", "22:22:59.7"),
        ("WS3", "22:24:58.0", "19:22:58", "22:22:59.7"),
        ("WS3", "22:22:58.0", "05:22:58", "22:22:59.7"),
    ] {
        let record = flat(&format!(
            r#""ProcessGuid":"{guid}","UtcTime":"2020-10-09 {utc}","EventTime":"2020-10-09 {local}",
               "@timestamp":"2020-10-09T{arrival}Z""#
        ));
        let record = record.replace("WS1", host);
        decoder.decode(record.as_bytes(), &META, &mut Rows::default()).unwrap();
    }
    let clocks = &decoder.stats().clocks;
    let told: Vec<String> = clocks
        .hosts()
        .map(|(host, clock)| {
            let offsets: Vec<_> = clock.offsets().map(|offset| offset.to_string()).collect();
            let spreads = [clock.logged, clock.guid, clock.arrival]
                .map(|spread| format!("{}:{}..{}", spread.count, spread.least, spread.greatest));
            let (offsets, spreads) = (offsets.join(","), spreads.join(" "));
            format!("{host} {} {offsets} {spreads} {}", clock.is_notable(), clock.apart)
        })
        .collect();
    assert_eq!(
        told,
        [
            "ws1 true UTC-4 0:0..0 0:0..0 2:12000..180000 0",
            "ws2 false UTC 0:0..0 0:0..0 1:700..700 0",
            "ws3 true UTC-3 2:-120000..179200 2:-177500..120000 1:1700..1700 2",
        ]
    );
}

#[test]
fn renamed_fields_of_a_process() {
    let record = ecs(
        1,
        r#""process":{"entity_id":"{42C2E005-E222-5F80-CD07-000000000400}","pid":4676,"executable":"C:\\a.exe","args":["C:\\a.exe","b c"],
           "working_directory":"C:\\","hash":{"sha256":"ab","md5":"cd"},"pe":{"imphash":"ef","company":"M"},
           "parent":{"entity_id":"42c2e005-e222-5f80-cd07-000000000401","pid":1,"executable":"C:\\p.exe","command_line":"p -x"}},
           "user":{"domain":"NT AUTHORITY","name":"SYSTEM","id":"S-1"},"rule":{"name":"r"}"#,
    );
    for (name, value) in [
        ("SHAPE", r#""ecs""#),
        ("EVENT_TIME", r#""2019-06-26T21:19:45.500Z""#),
        ("UTC_TIME", r#""2019-06-26 21:19:43.237""#),
        ("PROCESS_GUID", r#""{42C2E005-E222-5F80-CD07-000000000400}""#),
        ("PROCESS_ID", "4676"),
        ("IMAGE", r#""C:\\a.exe""#),
        ("COMMAND_LINE", r#""C:\\a.exe \"b c\"""#),
        ("CURRENT_DIRECTORY", r#""C:\\""#),
        ("HASHES", r#""MD5=CD,SHA256=AB,IMPHASH=EF""#),
        ("COMPANY", r#""M""#),
        ("PARENT_PROCESS_GUID", r#""{42C2E005-E222-5F80-CD07-000000000401}""#),
        ("PARENT_PROCESS_ID", "1"),
        ("PARENT_IMAGE", r#""C:\\p.exe""#),
        ("PARENT_COMMAND_LINE", r#""p -x""#),
        ("USER", r#""NT AUTHORITY\\SYSTEM""#),
        ("RULE_NAME", r#""r""#),
        ("LOGON_ID", r#""0x1""#),
        ("FIELDS", r#"{"X":"y"}"#),
    ] {
        assert_eq!(column(&record, name), value, "{name}");
    }
}

#[test]
fn renamed_fields_of_other_events() {
    let id = r#""entity_id":"{42C2E005-E222-5F80-CD07-000000000400}""#;
    let network = ecs(
        3,
        &format!(
            r#""process":{{{id}}},"source":{{"ip":"::1","port":1,"domain":"a"}},"destination":{{"ip":"::2","port":2,"domain":"b"}},
               "network":{{"transport":"tcp","direction":"egress","type":"ipv6","protocol":"https","community_id":"x"}}"#
        ),
    );
    for (name, value) in [
        ("SOURCE_IP", r#""::1""#),
        ("SOURCE_PORT", "1"),
        ("SOURCE_HOSTNAME", r#""a""#),
        ("DESTINATION_IP", r#""::2""#),
        ("DESTINATION_PORT", "2"),
        ("DESTINATION_HOSTNAME", r#""b""#),
        ("DESTINATION_PORT_NAME", r#""https""#),
        ("PROTOCOL", r#""tcp""#),
        ("INITIATED", "true"),
        ("SOURCE_IS_IPV6", "true"),
        ("DESTINATION_IS_IPV6", "true"),
    ] {
        assert_eq!(column(&network, name), value, "{name}");
    }
    let access =
        ecs(10, &format!(r#""process":{{{id},"pid":5,"executable":"s","thread":{{"id":9}}}}"#));
    assert_eq!(
        column(&access, "SOURCE_PROCESS_GUID"),
        "\"{42C2E005-E222-5F80-CD07-000000000400}\""
    );
    assert_eq!(column(&access, "SOURCE_THREAD_ID"), "9");
    assert_eq!(column(&access, "SOURCE_IMAGE"), "\"s\"");
    assert_eq!(column(&access, "PROCESS_GUID"), "null");
    let file = |event, name: &str| {
        column(
            &ecs(event, r#""file":{"path":"f","name":"p","code_signature":{"signed":true}}"#),
            name,
        )
    };
    assert_eq!(file(11, "TARGET_FILENAME"), "\"f\"");
    assert_eq!(file(7, "IMAGE_LOADED"), "\"f\"");
    assert_eq!(file(6, "SIGNED"), "true");
    assert_eq!(file(9, "DEVICE"), "\"f\"");
    assert_eq!(file(18, "PIPE_NAME"), "\"p\"");
    assert_eq!(
        column(
            &ecs(22, &format!(r#""process":{{{id}}},"dns":{{"question":{{"name":"d"}}}}"#)),
            "QUERY_NAME"
        ),
        "\"d\""
    );
    let status = |status| {
        column(
            &ecs(22, &format!(r#""process":{{{id}}},"sysmon":{{"dns":{{"status":"{status}"}}}}"#)),
            "QUERY_STATUS",
        )
    };
    assert_eq!(
        ["SUCCESS", "DNS_ERROR_RCODE_NAME_ERROR"].map(status),
        [r#""0""#, r#""DNS_ERROR_RCODE_NAME_ERROR""#]
    );
    let deleted = ecs(
        23,
        &format!(
            r#""process":{{{id}}},"sysmon":{{"file":{{"archived":true,"is_executable":false}}}}"#
        ),
    );
    assert_eq!(["ARCHIVED", "IS_EXECUTABLE"].map(|name| column(&deleted, name)), ["true", "false"]);
}

#[test]
fn raw_names_win_over_ecs_names() {
    let record = r#"{"process":{"entity_id":"{42C2E005-E222-5F80-CD07-000000000400}","executable":"e"},"@timestamp":"2019-06-26T21:19:43Z",
        "winlog":{"event_id":5,"channel":"Microsoft-Windows-Sysmon/Operational","event_data":{"Image":"raw","UtcTime":"u"}}}"#;
    assert_eq!(column(record, "SHAPE"), "\"ecs\"");
    assert_eq!(column(record, "IMAGE"), "\"raw\"");
    assert_eq!(column(record, "UTC_TIME"), "\"u\"");
}

#[test]
fn other_channels_and_other_records() {
    for record in [
        r#"{"Channel":"Security","EventID":4688}"#,
        r#"{"log_name":"System","event_id":1}"#,
        r#"{"winlog":{"channel":"Security","event_id":"4688"}}"#,
        r#"{"Event":{"System":{"Channel":"Security"}}}"#,
        "<Event><System><Channel>Security</Channel></System></Event>",
    ] {
        assert_eq!(outcome(record.as_bytes()), Ok(Outcome::OtherChannel), "{record}");
    }
    let sysmon = [
        r#"{"Channel":"MICROSOFT-WINDOWS-SYSMON\/operational","EventID":"1","Image":"a"}"#,
        r#"{"SourceName":"microsoft-windows-sysmon","EventID":1,"Image":"a"}"#,
        "<14>Jan 1 00:00:00 host sysmon: <Event><System><Provider Name='Linux-Sysmon'/><EventID>1</EventID></System><EventData><Data Name='Image'/></EventData></Event>",
    ];
    for record in sysmon {
        assert!(
            matches!(outcome(record.as_bytes()), Ok(Outcome::Sysmon { event_id: 1, .. })),
            "{record}"
        );
    }
}

#[test]
fn bad_input_is_an_error_with_a_reason() {
    let deep = format!(r#"{{"EventID":1,"Channel":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let deep_xml = format!("{}{}", "<Event>".repeat(10_000), "</Event>".repeat(10_000));
    let cases: [(&[u8], &str); 17] = [
        (b"", "unknown_shape"),
        (b"not json", "unknown_shape"),
        (b"<14>Jan 1 00:00:00 host app: {", "unknown_shape"),
        (br#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"ProcessId":7}"#, "no_fields"),
        (br#"{"EventID":1"#, "invalid_json"),
        (br#"{"EventID":1,}"#, "invalid_json"),
        (br#"{"EventID":1} x"#, "invalid_json"),
        (br#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Computer":"a","EventData":"{\"Image\":"}"#, "invalid_json"),
        (br#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Computer":"a","EventData":"<EventData>"}"#, "invalid_xml"),
        (deep.as_bytes(), "nested_too_deep"),
        (deep_xml.as_bytes(), "nested_too_deep"),
        (b"<Event><System></Event>", "invalid_xml"),
        (b"<Event><System><Channel>&nbsp;</Channel></System></Event>", "invalid_xml"),
        (b"{}", "unknown_shape"),
        (br#"["Channel"]"#, "unknown_shape"),
        (br#"{"Channel":"Microsoft-Windows-Sysmon/Operational"}"#, "unknown_shape"),
        (br#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":99999999999}"#, "unknown_shape"),
    ];
    for (record, code) in cases {
        let error = outcome(record).unwrap_err();
        assert_eq!(
            error.code(),
            code,
            "{error}: {:?}",
            String::from_utf8_lossy(&record[..record.len().min(90)])
        );
    }
}

#[test]
fn a_line_of_twenty_megabytes_is_read() {
    let image = "x".repeat(20 << 20);
    let record = flat(&format!(r#""Image":"{image}""#));
    assert_eq!(column(&record, "IMAGE").len(), image.len() + 2);
}

#[test]
fn keys_are_stable() {
    let with_number = flat(r#""RecordNumber":7,"UtcTime":"2020-10-09 22:27:49.040","Image":"a""#);
    let without = flat(
        r#""UtcTime":"2020-10-09 22:27:49.040","Image":"a","ProcessGuid":"{42c2e005-e222-5f80-cd07-000000000400}","X":"y""#,
    );
    assert_eq!(column(&with_number, "EVENT_KEY"), "\"1139437908f98999e13785d398aa264f\"");
    assert_eq!(column(&without, "EVENT_KEY"), "\"6e11ceac65ffe089ecff9b2085c21695\"");
    let respelled = without.replace("WS1", "ws1").replace("{42c2e005-e222", "{42C2E005-E222");
    assert_eq!(column(&respelled, "EVENT_KEY"), column(&without, "EVENT_KEY"));
    assert_ne!(
        column(&without.replace("\"y\"", "\"z\""), "EVENT_KEY"),
        column(&without, "EVENT_KEY")
    );
}
