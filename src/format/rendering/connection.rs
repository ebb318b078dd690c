//! A row of a network view by the names of its columns.

use std::borrow::Cow;
use std::net::IpAddr;

use super::NotNetwork;
use crate::model::row::Raw;
use crate::model::{RowRef, Schema, Type, Value};

macro_rules! fields {
    ($($field:ident $name:literal,)*) => {
        /// The columns that a network view may have; those of `process_network`, which says what they mean.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs)] // each is the column of its name
        pub enum Field { $($field,)* }

        impl Field {
            /// All of them, in the order of that view.
            pub const ALL: &[Field] = &[$(Field::$field,)*];

            /// The name of the column.
            pub fn name(self) -> &'static str {
                match self { $(Field::$field => $name,)* }
            }
        }
    };
}

fields! {
    EventKey "EVENT_KEY",
    EventTime "EVENT_TIME",
    Host "HOST",
    Knowledge "KNOWLEDGE",
    ProcessGuid "PROCESS_GUID",
    ProcessId "PROCESS_ID",
    Image "IMAGE",
    CommandLine "COMMAND_LINE",
    User "USER",
    IntegrityLevel "INTEGRITY_LEVEL",
    Hashes "HASHES",
    Started "STARTED",
    ParentProcessGuid "PARENT_PROCESS_GUID",
    ParentImage "PARENT_IMAGE",
    ParentCommandLine "PARENT_COMMAND_LINE",
    Protocol "PROTOCOL",
    Initiated "INITIATED",
    SourceIp "SOURCE_IP",
    SourcePort "SOURCE_PORT",
    SourceHostname "SOURCE_HOSTNAME",
    DestinationIp "DESTINATION_IP",
    DestinationPort "DESTINATION_PORT",
    DestinationHostname "DESTINATION_HOSTNAME",
    DestinationPortName "DESTINATION_PORT_NAME",
    RuleName "RULE_NAME",
    UtcTime "UTC_TIME",
    Depth "DEPTH",
    Truncated "TRUNCATED",
    Ancestors "ANCESTORS",
}

/// What a view must have to be a network view.
pub const REQUIRED: [Field; 5] =
    [Field::EventKey, Field::EventTime, Field::ProcessGuid, Field::SourceIp, Field::DestinationIp];

/// Where a view has the columns.
#[derive(Clone)]
pub struct Columns {
    /// Position and type by [`Field`].
    at: Vec<Option<(usize, Type)>>,
    ancestor: AncestorColumns,
}

/// Where an ancestor has its parts.
#[derive(Clone, Default)]
struct AncestorColumns {
    guid: Option<(usize, Type)>,
    image: Option<(usize, Type)>,
}

impl Columns {
    /// Looks for them.
    pub fn find(schema: &Schema) -> Result<Columns, NotNetwork> {
        let find = |field: &Field| {
            schema.position(field.name()).map(|i| (i, schema.columns[i].ty.clone()))
        };
        let at: Vec<_> = Field::ALL.iter().map(find).collect();
        let missing: Vec<_> = REQUIRED
            .iter()
            .filter(|field| at[**field as usize].is_none())
            .map(|field| field.name())
            .collect();
        if !missing.is_empty() {
            return Err(NotNetwork { missing });
        }
        let mut ancestor = AncestorColumns::default();
        if let Some((_, Type::Array(item))) = &at[Field::Ancestors as usize]
            && let Type::Struct(parts) = &**item
        {
            let part = |name| {
                parts.iter().position(|(part, _)| part == name).map(|i| (i, parts[i].1.clone()))
            };
            ancestor = AncestorColumns { guid: part("PROCESS_GUID"), image: part("IMAGE") };
        }
        Ok(Columns { at, ancestor })
    }
}

/// A value that is not NULL.
#[derive(Clone, Copy)]
pub struct Stored<'r> {
    raw: Raw<'r>,
    ty: &'r Type,
}

impl<'r> Stored<'r> {
    fn new(row: RowRef<'r>, column: Option<&'r (usize, Type)>) -> Option<Stored<'r>> {
        let (i, ty) = column?;
        Some(row.raw(*i)).filter(|raw| *raw != Raw::Null).map(|raw| Stored { raw, ty })
    }

    /// Appends it as JSON.
    pub fn write(self, out: &mut Vec<u8>) {
        self.raw.write_json(self.ty, out);
    }

    /// `None` for what Sysmon writes where it knows nothing: `""`, `-` and the GUID of zeros.
    fn known(self) -> Option<Stored<'r>> {
        let blank = match (self.raw, self.ty) {
            (Raw::Plain(text), Type::Varchar) => matches!(text, b"" | b"-"),
            (Raw::Plain(bytes), Type::Guid) => bytes.iter().all(|byte| *byte == 0),
            _ => false,
        };
        (!blank).then_some(self)
    }

    fn text(self) -> Option<Cow<'r, str>> {
        match self.raw.value(self.ty) {
            Value::Varchar(text) => Some(text),
            _ => None,
        }
    }
}

/// One row.
#[derive(Clone, Copy)]
pub struct Connection<'r> {
    columns: &'r Columns,
    row: RowRef<'r>,
}

impl<'r> Connection<'r> {
    /// The row of a view with these columns.
    pub fn new(columns: &'r Columns, row: RowRef<'r>) -> Connection<'r> {
        Connection { columns, row }
    }

    /// The value of a column, verbatim.
    pub fn stored(self, field: Field) -> Option<Stored<'r>> {
        Stored::new(self.row, self.columns.at[field as usize].as_ref())
    }

    /// The value of a column, if it says anything.
    pub fn known(self, field: Field) -> Option<Stored<'r>> {
        self.stored(field)?.known()
    }

    /// The text of a column of text, if it says anything.
    pub fn text(self, field: Field) -> Option<Cow<'r, str>> {
        self.known(field)?.text()
    }

    /// The value of a column of truth values.
    pub fn flag(self, field: Field) -> Option<bool> {
        let Stored { raw, ty } = self.stored(field)?;
        if let Value::Boolean(flag) = raw.value(ty) { Some(flag) } else { None }
    }

    /// The address in a column.
    pub fn address(self, field: Field) -> Option<IpAddr> {
        self.text(field)?.parse().ok()
    }

    /// The port in a column.
    pub fn port(self, field: Field) -> Option<u16> {
        let Stored { raw, ty } = self.stored(field)?;
        match raw.value(ty) {
            Value::Int(port) => port.try_into().ok(),
            Value::BigInt(port) => port.try_into().ok(),
            _ => None,
        }
    }

    /// The ancestors of the process, the parent first.
    pub fn ancestors(self) -> impl Iterator<Item = Ancestor<'r>> {
        let Columns { at, ancestor } = self.columns;
        let found = if ancestor.guid.is_some() || ancestor.image.is_some() {
            at[Field::Ancestors as usize].as_ref()
        } else {
            None
        };
        let parts = found.and_then(|(i, _)| self.row.raw(*i).parts());
        parts
            .into_iter()
            .flat_map(move |parts| (0..parts.width()).filter_map(move |i| parts.raw(i).parts()))
            .map(move |row| Ancestor {
                guid: Stored::new(row, ancestor.guid.as_ref()).and_then(Stored::known),
                image: Stored::new(row, ancestor.image.as_ref()).and_then(Stored::known),
            })
    }
}

/// An ancestor of a process.
#[derive(Clone, Copy)]
pub struct Ancestor<'r> {
    /// Which process it is.
    pub guid: Option<Stored<'r>>,
    /// Its program.
    pub image: Option<Stored<'r>>,
}

impl<'r> Ancestor<'r> {
    /// Its program or, where nobody has named that, its GUID.
    pub fn name(self) -> Option<Stored<'r>> {
        self.image.or(self.guid)
    }
}
