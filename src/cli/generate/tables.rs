//! Names that the background draws from: modules, keys, files, pipes, sites, people. Outside hosts live in the address ranges
//! and domains reserved for documentation (RFC 5737, RFC 2606).

/// First and last names of the users.
pub static PEOPLE: &[&str] = &[
    "anna.berg",
    "bruno.keller",
    "carla.mendes",
    "david.okoye",
    "elif.aydin",
    "frank.moser",
    "grace.lund",
    "hugo.martin",
    "ines.costa",
    "jonas.weber",
    "karin.holm",
    "liam.walsh",
    "mira.novak",
    "nils.hansen",
    "olga.petrova",
    "paul.jansen",
    "rosa.diaz",
    "samir.haddad",
    "tara.singh",
    "victor.blanc",
];

/// Documents people work on.
pub static DOCUMENTS: &[&str] = &[
    "Budget 2026",
    "Minutes",
    "Offer_Müller & Söhne",
    "Plan",
    "Quarterly report",
    "Roadmap v3",
    "Travel",
    "合同草案",
];

/// A module that processes load: path, description, company, signature.
pub type Module = [&'static str; 4];

/// Modules that everything loads.
#[rustfmt::skip]
pub static MODULES: &[Module] = &[
    [r"C:\Windows\System32\ntdll.dll", "NT Layer DLL", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\kernel32.dll", "Windows NT BASE API Client DLL", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\KernelBase.dll", "Windows NT BASE API Client DLL", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\msvcrt.dll", "Windows NT CRT DLL", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\combase.dll", "Microsoft COM for Windows", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\rpcrt4.dll", "Remote Procedure Call Runtime", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\sechost.dll", "Host for SCM/SDDL/LSA Lookup APIs", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\ws2_32.dll", "Windows Socket 2.0 32-Bit DLL", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\dnsapi.dll", "DNS Client API DLL", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\wininet.dll", "Internet Extensions for Win32", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\crypt32.dll", "Crypto API32", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\wbem\wbemprox.dll", "WMI", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\taskschd.dll", "Task Scheduler COM API", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Windows\System32\amsi.dll", "Anti-Malware Scan Interface", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25110.6-0\MpOAV.dll", "IOfficeAntiVirus Module", "Microsoft Corporation", "Microsoft Windows"],
    [r"C:\Program Files\Northlight Backup\nlshell.dll", "Shell extension", "Northlight Software", "-"],
];

/// Keys that programs set, with the details of event 13.
#[rustfmt::skip]
pub static KEYS: &[[&str; 2]] = &[
    [r"HKLM\System\CurrentControlSet\Services\bam\State\UserSettings\S-1-5-18\\Device\HarddiskVolume3\Windows\System32\conhost.exe", "Binary Data"],
    [r"HKLM\System\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\{4f0b1d52-6c1e-4b63-9d8c-0c1b6f3c2a11}\LeaseObtainedTime", "DWORD (0x69689a00)"],
    [r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Reporting\SamplingValue", "DWORD (0x000002d1)"],
    [r"HKLM\SOFTWARE\Microsoft\Windows Defender\Signature Updates\SignaturesLastUpdated", "Binary Data"],
    [r"HKU\S-1-5-21-1004336348-1177238915-682003330-1104\Software\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs\MRUListEx", "Binary Data"],
    [r"HKU\S-1-5-21-1004336348-1177238915-682003330-1104\Software\Microsoft\Office\16.0\Word\Reading Locations\Document 0\Datetime", "2026-01-15T08:31"],
    [r"HKLM\System\CurrentControlSet\Control\Session Manager\PendingFileRenameOperations", r"\??\C:\Windows\Temp\~nsu.tmp;(Empty)"],
    [r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tasks\{B5A2C1D4-7F0E-4E55-8B0A-2F4D9B6C7E10}\DynamicInfo", "Binary Data"],
    [r"HKLM\System\CurrentControlSet\Services\W32Time\SecureTimeLimits\RunTime\SecureTimeTickCount", "QWORD (0x00000000-0x0a3f2c10)"],
    [r"HKCR\VirtualStore\MACHINE\SOFTWARE\Northlight\LastRun", "(Empty)"],
];

/// Folders that files appear in and vanish from, with an extension.
#[rustfmt::skip]
pub static FOLDERS: &[[&str; 2]] = &[
    [r"C:\Users\{user}\AppData\Local\Temp\", ".tmp"],
    [r"C:\Users\{user}\AppData\Local\Google\Chrome\User Data\Default\Cache\f_", ""],
    [r"C:\Windows\Prefetch\APP-", ".pf"],
    [r"C:\Windows\SoftwareDistribution\Download\", ".cab"],
    [r"C:\ProgramData\Microsoft\Windows Defender\Scans\History\Store\", ""],
    [r"C:\Users\{user}\Documents\~$", ".docx"],
    [r"C:\Windows\Temp\", ".log"],
];

/// Pipes.
pub static PIPES: &[&str] = &[
    r"\wkssvc",
    r"\lsass",
    r"\srvsvc",
    r"\spoolss",
    r"\epmapper",
    r"\ntsvcs",
    r"\eventlog",
    r"\Winsock2\CatalogChangeListener-3a4-0",
    r"\PSHost.134129123456789012.4120.DefaultAppDomain.powershell",
    r"\crashpad_8120_QXWZTRKPLMNB",
    "<Anonymous Pipe>",
];

/// Web sites.
pub static SITES: &[&str] = &[
    "www.news.example",
    "static.news.example",
    "mail.webmail.example",
    "maps.travel.example",
    "cdn.video.example",
    "shop.parts-supplier.example",
    "wiki.handbook.example",
    "ads.tracker.example",
    "api.weather.example",
    "login.bank.example",
];

/// The vendors' services.
pub static SERVICES: &[&str] = &[
    "update.vendor.example",
    "telemetry.vendor.example",
    "settings.vendor.example",
    "outlook.office.example",
    "teams.office.example",
    "sync.drive.example",
    "definitions.antimalware.example",
    "tools.browser-update.example",
];

/// Call traces of event 10.
#[rustfmt::skip]
pub static TRACES: &[&str] = &[
    r"C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|C:\Windows\System32\lsm.dll+e959|C:\Windows\System32\RPCRT4.dll+76a53|C:\Windows\System32\RPCRT4.dll+da036|C:\Windows\System32\RPCRT4.dll+38359|C:\Windows\System32\KERNEL32.DLL+17374|C:\Windows\SYSTEM32\ntdll.dll+4cc91",
    r"C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25110.6-0\MPSVC.DLL+1f4a7e|C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.25110.6-0\MPSVC.DLL+20113b|C:\Windows\System32\KERNEL32.DLL+17374|C:\Windows\SYSTEM32\ntdll.dll+4cc91",
    r"C:\Windows\SYSTEM32\ntdll.dll+9e664|C:\Windows\System32\KERNELBASE.dll+8e23|C:\Windows\System32\combase.dll+b84ab|C:\Windows\System32\windows.storage.dll+12c6fe|C:\Windows\System32\shcore.dll+cbac|C:\Windows\System32\KERNEL32.DLL+17374|C:\Windows\SYSTEM32\ntdll.dll+4cc91",
    r"C:\Windows\SYSTEM32\ntdll.dll+9d104|C:\Windows\System32\wbem\wmiprov.dll+4b21|UNKNOWN(00007FFA3B1C0D2E)",
];

/// Rights asked for in event 10.
pub static RIGHTS: &[&str] =
    &["0x1000", "0x1400", "0x1410", "0x101000", "0x40", "0x1fffff", "0x3000"];

/// Rule names: mostly none.
pub static RULES: &[&str] = &[
    "technique_id=T1059.001,technique_name=PowerShell",
    "technique_id=T1047,technique_name=Windows Management Instrumentation",
    "technique_id=T1055,technique_name=Process Injection",
    "SuspiciousPort",
    "Usermode",
];

/// Windows services of event 7036.
pub static WINDOWS_SERVICES: &[&str] = &[
    "Windows Update",
    "Background Intelligent Transfer Service",
    "Software Protection",
    "WMI Performance Adapter",
    "Netlogon",
];
