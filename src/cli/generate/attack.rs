//! The attack in the noise: phishing document → macro → PowerShell → discovery → WMI and DCOM lateral movement → credential
//! access → exfiltration.
//!
//! A step per action, spread evenly over the middle of the scenario. The attacker's processes stay alive until their step
//! ends them, so their connections come long after their creates. The record of what was done (`Deed`) goes into the
//! expected result: the truth that a hunter's findings can be measured against.

use std::rc::Rc;

use super::background::{contact, finish, launch, outside, reach};
use super::event::Text;
use super::facts;
use super::programs::ATTACK;
use super::scenario::Stage;
use super::world::{Process, World};

/// Where the attacker's tools come from and his commands.
const CONTROL: &str = "cdn-static.example";
/// Where the data go.
const STORE: &str = "storage.filedrop.example";

/// The PowerShell on the victim's machine, by its role in the attack. A role ends in ` shell`, a tool does not.
const SHELL: &str = "first shell";
/// The PowerShell on the server.
const REMOTE_SHELL: &str = "remote shell";

/// One action of the attacker.
#[derive(Debug)]
pub struct Deed {
    /// ATT&CK technique.
    pub technique: &'static str,
    /// What it is.
    pub action: &'static str,
    /// Host.
    pub host: usize,
    /// When, in ms since 1970 by the host's clock.
    pub at: i64,
    /// The process that does it.
    pub process: Rc<Process>,
}

/// The attack's state.
#[derive(Debug)]
pub struct Attack {
    next: usize,
    victim: usize,
    server: usize,
    /// Where DCOM leads: another workstation, in the smallest domain the controller.
    neighbour: usize,
    cast: Vec<(&'static str, Rc<Process>)>,
    deeds: Vec<Deed>,
}

type Step = fn(&mut Attack, &mut Stage);

static STEPS: &[Step] = &[
    Attack::phishing,
    Attack::macro_runs,
    Attack::beacon,
    Attack::discovery,
    Attack::beacon,
    Attack::wmi,
    Attack::remote_beacon,
    Attack::dcom,
    Attack::injection,
    Attack::credentials,
    Attack::persistence,
    Attack::tools,
    Attack::exfiltration,
    Attack::clean_up,
];

impl Attack {
    /// An attack that has not begun.
    pub fn new(world: &World) -> Self {
        let stations = world.workstations();
        let victim = stations.start;
        let neighbour = if stations.len() > 1 { victim + 1 } else { 0 };
        Self { next: 0, victim, server: 1, neighbour, cast: Vec::new(), deeds: Vec::new() }
    }

    /// True when the next step begins with event `given` of `total`.
    pub fn is_due(&self, given: u64, total: u64) -> bool {
        let share = total as f64 * (0.1 + 0.6 * self.next as f64 / STEPS.len() as f64);
        self.next < STEPS.len() && given as f64 >= share
    }

    /// Takes the next step.
    pub fn step(&mut self, stage: &mut Stage) {
        let step = STEPS[self.next];
        self.next += 1;
        step(self, stage);
    }

    /// What has been done.
    pub fn deeds(&self) -> &[Deed] {
        &self.deeds
    }

    fn phishing(&mut self, stage: &mut Stage) {
        self.run(
            stage,
            "T1566.001",
            "mail client opens",
            self.victim,
            "OUTLOOK.EXE",
            "explorer.exe",
        );
        let outlook = self.actor("OUTLOOK.EXE");
        contact(stage, self.victim, &outlook, "outlook.office.example", 1300);
        let word = self.run(
            stage,
            "T1204.002",
            "attached document opens",
            self.victim,
            "WINWORD.EXE",
            "OUTLOOK.EXE",
        );
        let path: Text = r"C:\Users\Public\Invoice 4711 (overdue).docm".into();
        stage.act(self.victim, &outlook, 700, |host, process, at, rng| {
            facts::file(11, host, process, path, at, rng)
        });
        load(
            stage,
            self.victim,
            &word,
            r"C:\Program Files\Common Files\Microsoft Shared\VBA\VBA7.1\VBE7.DLL",
        );
    }

    fn macro_runs(&mut self, stage: &mut Stage) {
        self.run(stage, "T1059.003", "macro starts a shell", self.victim, "cmd.exe", "WINWORD.EXE");
        let shell = self.run(
            stage,
            "T1059.001",
            "encoded PowerShell",
            self.victim,
            "powershell.exe",
            "cmd.exe",
        );
        self.cast.push((SHELL, Rc::clone(&shell)));
        load(
            stage,
            self.victim,
            &shell,
            r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\clr.dll",
        );
        stage.act(self.victim, &shell, 900, |host, process, at, rng| {
            facts::query(host, process, CONTROL.into(), Some(&outside(CONTROL)), at, rng)
        });
        let cmd = self.actor("cmd.exe");
        finish(stage, self.victim, &cmd, 1200);
    }

    fn beacon(&mut self, stage: &mut Stage) {
        let shell = self.actor(SHELL);
        self.note("T1071.001", "beacon", self.victim, &shell, stage);
        for round in 0..4 {
            contact(stage, self.victim, &shell, CONTROL, 1100 + round * 1500);
        }
    }

    fn discovery(&mut self, stage: &mut Stage) {
        for (technique, action, tool, parent) in [
            ("T1033", "who am I", "whoami.exe", SHELL),
            ("T1082", "what is this", "systeminfo.exe", SHELL),
            ("T1482", "which domains", "nltest.exe", SHELL),
            ("T1069.002", "who is administrator", "net.exe", SHELL),
            ("T1069.002", "who is administrator", "net1.exe", "net.exe"),
        ] {
            let process = self.run(stage, technique, action, self.victim, tool, parent);
            if tool == "nltest.exe" {
                reach(stage, self.victim, &process, 0, 389, 1100);
            }
            finish(stage, self.victim, &process, 1800);
        }
    }

    fn wmi(&mut self, stage: &mut Stage) {
        let client =
            self.run(stage, "T1047", "remote process by WMI", self.victim, "WMIC.exe", SHELL);
        reach(stage, self.victim, &client, self.server, 135, 1100);
        stage.now += 2000;
        self.run(
            stage,
            "T1047",
            "WMI provider on the target",
            self.server,
            "WmiPrvSE.exe",
            "-k DcomLaunch",
        );
        let remote = self.run(
            stage,
            "T1059.001",
            "PowerShell by WMI",
            self.server,
            "powershell.exe",
            "WmiPrvSE.exe",
        );
        self.cast.push((REMOTE_SHELL, Rc::clone(&remote)));
        load(
            stage,
            self.server,
            &remote,
            r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\clr.dll",
        );
        finish(stage, self.victim, &client, 900);
    }

    fn remote_beacon(&mut self, stage: &mut Stage) {
        let remote = self.actor(REMOTE_SHELL);
        self.note("T1071.001", "beacon from the server", self.server, &remote, stage);
        for round in 0..3 {
            contact(stage, self.server, &remote, CONTROL, 1200 + round * 1700);
        }
    }

    fn dcom(&mut self, stage: &mut Stage) {
        let shell = self.actor(SHELL);
        reach(stage, self.victim, &shell, self.neighbour, 135, 1000);
        stage.now += 1500;
        let console = self.run(
            stage,
            "T1021.003",
            "DCOM server starts",
            self.neighbour,
            "mmc.exe",
            "-k DcomLaunch",
        );
        let remote = self.run(
            stage,
            "T1059.001",
            "PowerShell by DCOM",
            self.neighbour,
            "powershell.exe",
            "mmc.exe",
        );
        contact(stage, self.neighbour, &remote, CONTROL, 1500);
        finish(stage, self.neighbour, &console, 4000);
    }

    fn injection(&mut self, stage: &mut Stage) {
        let shell = self.actor(SHELL);
        let target = stage.world.hosts[self.victim].resident("explorer.exe");
        self.note("T1055", "thread in explorer.exe", self.victim, &shell, stage);
        stage.act(self.victim, &shell, 10, |host, shell, at, rng| {
            facts::access(host, shell, &target, "0x1fffff", at, rng)
        });
        stage.act(self.victim, &shell, 20, |host, shell, at, rng| {
            facts::inject(host, shell, &target, at, rng)
        });
        contact(stage, self.victim, &target, CONTROL, 2500);
    }

    fn credentials(&mut self, stage: &mut Stage) {
        for (host, tool, rights) in
            [(self.victim, "procdump64.exe", "0x1fffff"), (self.server, "rundll32.exe", "0x1410")]
        {
            let parent = if host == self.victim { SHELL } else { REMOTE_SHELL };
            let tool = self.run(stage, "T1003.001", "memory of lsass", host, tool, parent);
            let lsass = stage.world.hosts[host].resident("lsass.exe");
            stage.act(host, &tool, 150, |host, tool, at, rng| {
                facts::access(host, tool, &lsass, rights, at, rng)
            });
            let path = Text::Borrowed(r"C:\Users\Public\ls.dmp");
            stage.act(host, &tool, 600, |host, tool, at, rng| {
                facts::file(11, host, tool, path, at, rng)
            });
            finish(stage, host, &tool, 1500);
        }
    }

    fn persistence(&mut self, stage: &mut Stage) {
        let shell = self.actor(REMOTE_SHELL);
        self.note("T1546.003", "WMI subscription", self.server, &shell, stage);
        let user = [("Operation", "Created"), ("User", r"NORTHLIGHT\operator")];
        let parts: [(u16, &[(&str, &str)]); 3] = [
            (
                19,
                &[
                    ("EventNamespace", r#""root\\cimv2""#),
                    ("Name", r#""Updater""#),
                    (
                        "Query",
                        r#""SELECT * FROM __InstanceModificationEvent WITHIN 60 WHERE TargetInstance ISA 'Win32_LocalTime'""#,
                    ),
                ],
            ),
            (
                20,
                &[
                    ("Name", r#""Updater""#),
                    ("Type", "Command Line"),
                    ("Destination", r#""C:\\Users\\Public\\updater.cmd""#),
                ],
            ),
            (
                21,
                &[
                    ("Consumer", r#""CommandLineEventConsumer.Name=\"Updater\"""#),
                    ("Filter", r#""__EventFilter.Name=\"Updater\"""#),
                ],
            ),
        ];
        for (order, (id, fields)) in parts.into_iter().enumerate() {
            let fields: Vec<_> = user.iter().chain(fields).copied().collect();
            let at = stage.clock(self.server, order as i64 * 40);
            let event =
                facts::machine(id, &stage.world.hosts[self.server], &fields, at, &mut stage.rng);
            stage.push(event);
        }
        let key = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\Updater";
        stage.act(self.server, &shell, 300, |host, shell, at, rng| {
            facts::registry(13, host, shell, key, r"C:\Users\Public\updater.cmd", at, rng)
        });
    }

    fn tools(&mut self, stage: &mut Stage) {
        let curl = self.run(stage, "T1105", "tool arrives", self.server, "curl.exe", REMOTE_SHELL);
        contact(stage, self.server, &curl, CONTROL, 1200);
        let path = Text::Borrowed(r"C:\Users\Public\rclone.exe");
        stage.act(self.server, &curl, 1900, |host, curl, at, rng| {
            facts::hashed_file(29, host, curl, path, at, rng)
        });
        finish(stage, self.server, &curl, 2500);
    }

    fn exfiltration(&mut self, stage: &mut Stage) {
        let rclone =
            self.run(stage, "T1567.002", "data leave", self.server, "rclone.exe", REMOTE_SHELL);
        stage.act(self.server, &rclone, 400, |host, process, at, rng| {
            facts::query(host, process, STORE.into(), Some(&outside(STORE)), at, rng)
        });
        for transfer in 0..8 {
            contact(stage, self.server, &rclone, STORE, 1200 + transfer * 700);
        }
    }

    fn clean_up(&mut self, stage: &mut Stage) {
        let rclone = self.actor("rclone.exe");
        self.note("T1070.004", "tool deleted", self.server, &rclone, stage);
        let remote = self.actor(REMOTE_SHELL);
        let path = Text::Borrowed(r"C:\Users\Public\rclone.exe");
        stage.act(self.server, &remote, 900, |host, shell, at, rng| {
            facts::hashed_file(23, host, shell, path, at, rng)
        });
        finish(stage, self.server, &rclone, 100);
        finish(stage, self.server, &remote, 1200);
    }

    /// Runs a tool of the table as the child of an actor, or of a process that runs anyway.
    fn run(
        &mut self,
        stage: &mut Stage,
        technique: &'static str,
        action: &'static str,
        host: usize,
        tool: &'static str,
        parent: &'static str,
    ) -> Rc<Process> {
        stage.now += 30;
        let program = ATTACK
            .iter()
            .find(|program| {
                program.name() == tool && (parent.ends_with(" shell") || program.parent == parent)
            })
            .expect("the table of the attack's programs has every tool of its steps");
        let actor = self
            .cast
            .iter()
            .rev()
            .find(|(role, _)| *role == parent)
            .map(|(_, process)| Rc::clone(process));
        let parent = actor.unwrap_or_else(|| stage.world.hosts[host].resident(parent));
        let process = launch(stage, host, program, &parent, false);
        self.cast.push((tool, Rc::clone(&process)));
        self.note(technique, action, host, &process, stage);
        process
    }

    fn actor(&self, role: &str) -> Rc<Process> {
        let (_, process) = self
            .cast
            .iter()
            .rev()
            .find(|(name, _)| *name == role)
            .expect("an earlier step cast the role");
        Rc::clone(process)
    }

    fn note(
        &mut self,
        technique: &'static str,
        action: &'static str,
        host: usize,
        process: &Rc<Process>,
        stage: &Stage,
    ) {
        let at = stage.clock(host, 0);
        self.deeds.push(Deed { technique, action, host, at, process: Rc::clone(process) });
    }
}

fn load(stage: &mut Stage, host: usize, process: &Rc<Process>, path: &'static str) {
    let module = [path, "-", "Microsoft Corporation", "Microsoft Windows"];
    stage.act(host, process, 400, |host, process, at, rng| {
        facts::load(host, process, &module, at, rng)
    });
}
