//! Event XML: `<Event>` with `System` and `EventData`, and the bare `<EventData>` that Azure keeps as text.
//!
//! Only children of `System` are parts of the event's head, and `RenderingInfo`, in which a
//! collector repeats some of them in its own language, holds none. Namespaces and prefixes are
//! ignored. Text is put together from text, CDATA and references; only XML's own entities are known, any other is an error.
//! A `Data` element without a name is kept as the unknown field `Data`.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::slots::{DataOf, Part, Slots};
use super::walk::field_named;
use crate::format::error::DecodeError;
use crate::format::scan::MAX_DEPTH;

/// What the element being read will be stored as.
enum Target {
    Part(Part),
    /// A `Data` element, by its name.
    Data(Option<String>),
}

/// Reads one event, or any element around `Data` elements, into the slots. The text must be one element and white space around it.
pub(super) fn event(
    xml: &str,
    of: DataOf,
    slots: &mut Slots,
    keep: bool,
) -> Result<(), DecodeError> {
    if of < slots.data_of {
        return Ok(());
    }
    slots.data_of = of;
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut depth = 0;
    let mut seen = false;
    let mut target: Option<(Target, usize)> = None;
    let mut within = Within::default();
    let mut text = String::new();
    loop {
        let at = reader.buffer_position();
        let invalid = |problem: &dyn std::fmt::Display| DecodeError::InvalidXml {
            at,
            problem: problem.to_string(),
        };
        match reader.read_event().map_err(|e| invalid(&e))? {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(DecodeError::NestedTooDeep { limit: MAX_DEPTH });
                }
                seen = true;
                if let Some(found) =
                    element(&start, &within, depth, slots).map_err(|e| invalid(&e))?
                {
                    target = Some((found, depth));
                    text.clear();
                }
                within.enter(start.local_name().as_ref(), depth);
            }
            Event::Empty(start) => {
                seen = true;
                if let Some(found) =
                    element(&start, &within, depth + 1, slots).map_err(|e| invalid(&e))?
                {
                    store(&found, "", slots, keep);
                }
            }
            Event::End(_) => {
                if let Some((found, _)) = target.take_if(|(_, level)| *level == depth) {
                    store(&found, &text, slots, keep);
                }
                within.leave(depth);
                depth -= 1;
            }
            Event::Text(piece) if target.is_some() => text.push_str(&piece.xml10_content()),
            Event::CData(piece) if target.is_some() => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => {
                if let Some(char) = reference.resolve_char_ref().map_err(|e| invalid(&e))? {
                    text.push(char);
                } else if let Some(resolved) = resolve_xml_entity(&reference) {
                    text.push_str(resolved);
                } else {
                    return Err(invalid(&format_args!("unknown entity `{}`", &*reference)));
                }
            }
            Event::Eof if depth == 0 && seen => return Ok(()),
            Event::Eof => return Err(invalid(&"the element does not end")),
            _ => {}
        }
    }
}

/// The elements that say what those within them mean, by the depth at which they are open.
#[derive(Default)]
struct Within {
    system: Option<usize>,
    rendering: Option<usize>,
}

impl Within {
    fn enter(&mut self, name: &str, depth: usize) {
        match name {
            "System" if self.system.is_none() => self.system = Some(depth),
            "RenderingInfo" if self.rendering.is_none() => self.rendering = Some(depth),
            _ => {}
        }
    }

    fn leave(&mut self, depth: usize) {
        self.system.take_if(|open| *open == depth);
        self.rendering.take_if(|open| *open == depth);
    }
}

/// What an element's text is to be stored as; attributes are stored at once.
fn element(
    start: &BytesStart<'_>,
    within: &Within,
    depth: usize,
    slots: &mut Slots,
) -> Result<Option<Target>, quick_xml::Error> {
    let is_head = within.system.is_some_and(|open| open + 1 == depth);
    if within.rendering.is_some() || !(is_head || start.local_name().as_ref() == "Data") {
        return Ok(None);
    }
    let (part, attribute) = match start.local_name().as_ref() {
        "EventID" => return Ok(Some(Target::Part(Part::SystemEventId))),
        "Channel" => return Ok(Some(Target::Part(Part::SystemChannel))),
        "Computer" => return Ok(Some(Target::Part(Part::SystemComputer))),
        "EventRecordID" => return Ok(Some(Target::Part(Part::SystemRecord))),
        "Data" => (None, "Name"),
        "Provider" => (Some(Part::SystemProvider), "Name"),
        "TimeCreated" => (Some(Part::SystemTime), "SystemTime"),
        _ => return Ok(None),
    };
    let mut value = None;
    for found in start.attributes() {
        let found = found?;
        if found.key.local_name().as_ref() == attribute {
            value = Some(found.normalized_value(XmlVersion::Implicit1_0)?.into_owned());
        }
    }
    let Some(part) = part else { return Ok(Some(Target::Data(value))) };
    if let Some(value) = value {
        let slot = slots.build(&value);
        slots.set(part, slot);
    }
    Ok(None)
}

fn store(target: &Target, text: &str, slots: &mut Slots, keep: bool) {
    match target {
        Target::Part(part) => {
            let slot = slots.build(text);
            slots.set(*part, slot);
        }
        Target::Data(name) => {
            let known = name.as_ref().and_then(|name| field_named(name.as_bytes()));
            if let Some((field, exact)) = known {
                let slot = slots.build(text);
                slots.data.0[field].store(slot.spelled(exact));
            } else if keep {
                let entry = (slots.build(name.as_deref().unwrap_or("Data")), slots.build(text));
                slots.data_unknown.push(entry);
            }
        }
    }
}
