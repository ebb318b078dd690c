//! What a domain does all day.
//!
//! An activity is a handful of events of one host that belong together. The weights give the mix of a Sysmon configuration
//! for hunting: about three quarters of the events are image loads, process accesses, files and registry (7, 10, 11, 12, 13),
//! 4 % creates, 5 % connections and DNS queries each, and every other event id now and then.

use std::rc::Rc;

use super::event::Text;
use super::facts::{self, Endpoint, Flow};
use super::programs::{DAILY, Program, Traffic};
use super::scenario::Stage;
use super::tables::{FOLDERS, KEYS, MODULES, PIPES, RIGHTS, SERVICES, SITES};
use super::world::{DOMAIN, Process, fill};

/// More running processes of the day than this, and one ends before the next starts.
const CROWD: usize = 24;

type Activity = fn(&mut Stage, usize);

static ACTIVITIES: &[(u64, Activity)] = &[
    (25, start),
    (21, end),
    (25, talk),
    (36, read_registry),
    (30, access),
    (16, load),
    (22, files),
    (5, pipes),
    (2, rarities),
];

/// The first events of every host: Sysmon starts and reads its configuration.
pub fn begin(stage: &mut Stage) {
    for host in 0..stage.world.hosts.len() {
        let at = stage.clock(host, stage.rng.clone().below(50) as i64 + 1);
        let machine = &stage.world.hosts[host];
        let service = [("State", "Started"), ("Version", "15.15"), ("SchemaVersion", "4.90")];
        let started = facts::machine(4, machine, &service, at, &mut stage.rng);
        let fields = [
            ("Configuration", r"C:\Windows\sysmonconfig.xml"),
            (
                "ConfigurationFileHash",
                "SHA256=055FEBC600E6D7448CDF3812307275912927A62B1F94D0D933B64B294BC87162",
            ),
        ];
        let configured = facts::machine(16, machine, &fields, at + 3, &mut stage.rng);
        stage.push(started);
        stage.push(configured);
    }
}

/// Lets one host do something.
pub fn act(stage: &mut Stage) {
    let host = stage.rng.below(stage.world.hosts.len() as u64) as usize;
    let activity = *stage.rng.weighted(ACTIVITIES);
    activity(stage, host);
}

/// Starts a program with the events around it; gives the process.
pub fn launch(
    stage: &mut Stage,
    host: usize,
    program: &'static Program,
    parent: &Rc<Process>,
    transient: bool,
) -> Rc<Process> {
    let at = stage.clock(host, 0);
    let process = stage.world.hosts[host].start(program, at, transient, &mut stage.rng);
    let logged = at + stage.rng.range(1, 10) as i64;
    let event = facts::create(&stage.world.hosts[host], &process, parent, logged, &mut stage.rng);
    stage.push(event);
    for order in 0..stage.rng.range(1, 4) {
        let module = &MODULES[order as usize];
        stage.act(host, &process, 20 + order as i64, |host, process, at, rng| {
            facts::load(host, process, module, at, rng)
        });
    }
    stage.act(host, &process, 18, |host, child, at, rng| {
        facts::access(host, parent, child, "0x1fffff", at, rng)
    });
    process
}

/// Ends a process; one in five ends unseen.
pub fn finish(stage: &mut Stage, host: usize, process: &Rc<Process>, after: i64) {
    stage.world.hosts[host].end(process);
    if stage.rng.below(5) > 0 {
        stage.act(host, process, after, facts::terminate);
    }
}

fn start(stage: &mut Stage, host: usize) {
    let crowd =
        stage.world.hosts[host].processes.iter().filter(|process| process.transient).count();
    if crowd >= CROWD {
        end(stage, host);
    }
    let (program, parent) = loop {
        let program = stage.rng.weighted(DAILY);
        let host = &stage.world.hosts[host];
        if program.place.has(host.role)
            && let Some(parent) = host.running(program.parent)
        {
            break (program, Rc::clone(parent));
        }
    };
    let process = launch(stage, host, program, &parent, true);
    if program.traffic != Traffic::None && stage.rng.below(2) == 0 {
        converse(stage, host, &process, 1500);
    }
}

fn end(stage: &mut Stage, host: usize) {
    let (world, rng) = (&stage.world, &mut stage.rng);
    let crowd: Vec<_> =
        world.hosts[host].processes.iter().filter(|process| process.transient).collect();
    if !crowd.is_empty() {
        let process = Rc::clone(*rng.pick(&crowd));
        let after = rng.range(1, 40) as i64;
        finish(stage, host, &process, after);
    }
}

/// A running process that Sysmon's rules see doing more than connecting.
fn someone(stage: &mut Stage, host: usize) -> Rc<Process> {
    let processes = &stage.world.hosts[host].processes;
    loop {
        let process = stage.rng.pick(processes);
        if process.program.traffic != Traffic::Quiet {
            return Rc::clone(process);
        }
    }
}

fn talk(stage: &mut Stage, host: usize) {
    let (world, rng) = (&stage.world, &mut stage.rng);
    let talkers: Vec<_> = world.hosts[host]
        .processes
        .iter()
        .filter(|process| process.program.traffic != Traffic::None)
        .collect();
    let process = Rc::clone(*rng.pick(&talkers));
    converse(stage, host, &process, 0);
}

/// A process looks a name up and connects.
fn converse(stage: &mut Stage, host: usize, process: &Rc<Process>, after: i64) {
    match process.program.traffic {
        Traffic::None => {}
        Traffic::Web => visit(stage, host, process, SITES, after),
        Traffic::Cloud => visit(stage, host, process, SERVICES, after),
        Traffic::Resolver => {
            let dc = inside(stage, 0, 53);
            let source = local(stage, host);
            open(
                stage,
                host,
                process,
                &Flow { source, destination: dc, protocol: "udp", initiated: true },
                after + 1000,
            );
        }
        Traffic::Domain => {
            let port = *stage.rng.pick(&[88, 389, 389, 445, 135]);
            let name = format!("_ldap._tcp.dc._msdcs.{DOMAIN}").into();
            stage.act(host, process, after + 200, |host, process, at, rng| {
                facts::query(host, process, name, Some("10.20.0.1"), at, rng)
            });
            reach(stage, host, process, 0, port, after + 1200);
        }
        Traffic::Quiet => reach(stage, host, process, 1, 445, after + 1000),
    }
}

/// Connects to another host of the domain; that host sees the same connection come in.
pub fn reach(
    stage: &mut Stage,
    host: usize,
    process: &Rc<Process>,
    to: usize,
    port: u16,
    after: i64,
) {
    let flow = Flow {
        source: local(stage, host),
        destination: inside(stage, to, port),
        protocol: "tcp",
        initiated: true,
    };
    open(stage, host, process, &flow, after);
    let server = match port {
        445 => "System",
        135 => "-k RPCSS",
        _ => "lsass.exe",
    };
    if host != to {
        let server = stage.world.hosts[to].resident(server);
        open(stage, to, &server, &Flow { initiated: false, ..flow }, after + 3);
    }
}

fn visit(
    stage: &mut Stage,
    host: usize,
    process: &Rc<Process>,
    sites: &'static [&'static str],
    after: i64,
) {
    let site = stage.rng.below(sites.len() as u64) as usize;
    let ip = outside(sites[site]);
    let answered = stage.rng.below(20) > 0;
    stage.act(host, process, after + 300, |host, process, at, rng| {
        facts::query(host, process, Text::Borrowed(sites[site]), answered.then_some(&ip), at, rng)
    });
    if stage.rng.below(2) == 0 {
        let other = *stage.rng.pick(sites);
        stage.act(host, process, after + 350, |host, process, at, rng| {
            facts::query(host, process, Text::Borrowed(other), Some(&outside(other)), at, rng)
        });
    }
    for connection in 0..stage.rng.below(3) as i64 {
        contact(stage, host, process, sites[site], after + 1100 + connection * 40);
    }
    if stage.rng.below(3) == 0 {
        write_file(stage, host, process, after + 1600);
    }
}

/// A connection to a site outside.
pub fn contact(
    stage: &mut Stage,
    host: usize,
    process: &Rc<Process>,
    site: &'static str,
    after: i64,
) {
    let port = if stage.rng.below(8) == 0 { 80 } else { 443 };
    let name = if stage.rng.below(3) == 0 { site } else { "-" };
    let v6 = stage.rng.below(25) == 0;
    let ip =
        if v6 { format!("2001:db8:0:0:0:0:0:{:x}", outside_number(site)) } else { outside(site) };
    let mut source = local(stage, host);
    if v6 {
        source.ip = format!("2001:db8:20:0:0:0:0:{:x}", host + 1);
    }
    let destination = Endpoint { ip, port, name: name.into() };
    open(
        stage,
        host,
        process,
        &Flow { source, destination, protocol: "tcp", initiated: true },
        after,
    );
}

/// Queues the event of a connection.
fn open(stage: &mut Stage, host: usize, process: &Rc<Process>, flow: &Flow, after: i64) {
    stage.act(host, process, after, |host, process, at, rng| {
        facts::connect(host, process, flow, at, rng)
    });
}

fn local(stage: &mut Stage, host: usize) -> Endpoint {
    let port = stage.rng.range(49152, 65535) as u16;
    let host = &stage.world.hosts[host];
    Endpoint { ip: host.ip.clone(), port, name: host.name.clone().into() }
}

fn inside(stage: &mut Stage, host: usize, port: u16) -> Endpoint {
    let name = if stage.rng.below(2) == 0 {
        stage.world.hosts[host].name.clone().into()
    } else {
        Text::Borrowed("-")
    };
    Endpoint { ip: stage.world.hosts[host].ip.clone(), port, name }
}

/// The address of a name outside.
pub fn outside(name: &str) -> String {
    let number = outside_number(name);
    format!("{}.{}", ["198.51.100", "203.0.113", "192.0.2"][number as usize % 3], number % 250 + 2)
}

fn outside_number(name: &str) -> u32 {
    name.bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 9973
}

fn read_registry(stage: &mut Stage, host: usize) {
    let process = someone(stage, host);
    for step in 0..stage.rng.range(2, 6) {
        let [key, details] = *stage.rng.pick(KEYS);
        let id = *stage.rng.weighted(&[(50, 12), (50, 13), (1, 14)]);
        let value = if id == 14 { r"HKLM\SOFTWARE\Northlight\Renamed" } else { details };
        stage.act(host, &process, step as i64 * 2, |host, process, at, rng| {
            facts::registry(id, host, process, key, value, at, rng)
        });
    }
}

fn access(stage: &mut Stage, host: usize) {
    let source = someone(stage, host);
    for step in 0..stage.rng.range(1, 5) {
        let target = someone(stage, host);
        let rights = *stage.rng.pick(RIGHTS);
        let at = stage.moment(host, &source, step as i64 * 3).max(stage.moment(host, &target, 0));
        let event =
            facts::access(&stage.world.hosts[host], &source, &target, rights, at, &mut stage.rng);
        stage.push(event);
    }
}

fn load(stage: &mut Stage, host: usize) {
    let process = someone(stage, host);
    for step in 0..stage.rng.range(2, 6) {
        let module = stage.rng.pick(MODULES);
        stage.act(host, &process, step as i64, |host, process, at, rng| {
            facts::load(host, process, module, at, rng)
        });
    }
}

fn files(stage: &mut Stage, host: usize) {
    let process = someone(stage, host);
    for step in 0..stage.rng.range(1, 3) as i64 {
        write_file(stage, host, &process, step * 4);
    }
    let rare = *stage.rng.weighted(&[(8, 0), (4, 23), (1, 26), (1, 2), (1, 15), (1, 29)]);
    let path = path(stage, host);
    match rare {
        0 => {}
        2 | 15 => stage.act(host, &process, 30, |host, process, at, rng| {
            facts::file(rare, host, process, path, at, rng)
        }),
        _ => stage.act(host, &process, 30, |host, process, at, rng| {
            facts::hashed_file(rare, host, process, path, at, rng)
        }),
    }
}

fn write_file(stage: &mut Stage, host: usize, process: &Rc<Process>, after: i64) {
    let path = path(stage, host);
    stage.act(host, process, after, |host, process, at, rng| {
        facts::file(11, host, process, path, at, rng)
    });
}

fn path(stage: &mut Stage, host: usize) -> Text {
    let [folder, extension] = *stage.rng.pick(FOLDERS);
    let folder = fill(folder, &stage.world.hosts[host], &mut stage.rng);
    format!("{folder}{:08x}{extension}", stage.rng.next() as u32).into()
}

fn pipes(stage: &mut Stage, host: usize) {
    let (server, client) = (someone(stage, host), someone(stage, host));
    let name = *stage.rng.pick(PIPES);
    stage.act(host, &server, 0, |host, process, at, rng| {
        facts::pipe(17, host, process, name, at, rng)
    });
    for step in 0..stage.rng.range(1, 2) as i64 {
        stage.act(host, &client, 5 + step, |host, process, at, rng| {
            facts::pipe(18, host, process, name, at, rng)
        });
    }
}

/// Event ids that appear now and then.
fn rarities(stage: &mut Stage, host: usize) {
    let process = someone(stage, host);
    let machine = |stage: &mut Stage, id, fields: &[(&'static str, &'static str)]| {
        let at = stage.clock(host, 1);
        let event = facts::machine(id, &stage.world.hosts[host], fields, at, &mut stage.rng);
        stage.push(event);
    };
    match stage.rng.below(8) {
        0 => machine(
            stage,
            6,
            &[
                ("ImageLoaded", r"C:\Windows\System32\drivers\nlfilter.sys"),
                (
                    "Hashes",
                    "SHA256=9C56CC51B374C3BA189210D5B6D4BF57790D351C96C47C02190ECF1E430635AB",
                ),
                ("Signed", "true"),
                ("Signature", "Northlight Software"),
                ("SignatureStatus", "Valid"),
            ],
        ),
        1 => machine(
            stage,
            255,
            &[
                ("ID", "DriverCommunication"),
                ("Description", "Failed to retrieve events - Last error: 995"),
            ],
        ),
        2 => stage.act(
            host,
            &stage.world.hosts[host].resident("explorer.exe"),
            0,
            |host, process, at, rng| {
                let fields = [
                    ("Session", "1"),
                    ("ClientInfo", "user: NORTHLIGHT\\operator"),
                    (
                        "Hashes",
                        "SHA256=2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824",
                    ),
                    ("Archived", "true"),
                ];
                facts::plain(24, host, process, &fields, at, rng)
            },
        ),
        3 => stage.act(host, &process, 0, |host, process, at, rng| {
            facts::plain(25, host, process, &[("Type", "Image is replaced")], at, rng)
        }),
        4 => {
            let target = process;
            let system = stage.world.hosts[host].resident("csrss.exe");
            stage.act(host, &system, 0, |host, process, at, rng| {
                facts::inject(host, process, &target, at, rng)
            });
        }
        _ => stage.act(host, &process, 0, |host, process, at, rng| {
            facts::plain(9, host, process, &[("Device", r"\Device\HarddiskVolume3")], at, rng)
        }),
    }
}
