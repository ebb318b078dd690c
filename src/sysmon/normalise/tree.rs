//! What is not JSON as a JSON tree, so that it is searched in one way: XML and texts of
//! `name=value`.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value};

use crate::format::error::DecodeError;
use crate::format::scan::MAX_DEPTH;

/// The content of a text of XML elements, which need no common root.
///
/// An element is its text, or, where it has attributes or elements, an object of them: attributes
/// by their name behind `@`, its text as `#text`, elements of one name as a list. That is how
/// xmltodict and many exporters write XML as JSON. Namespaces and prefixes are left out.
pub fn xml(text: &str) -> Result<Value, DecodeError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    // the elements that are open, from a root of ours
    let mut open = vec![Element::default()];
    loop {
        let at = reader.buffer_position();
        let invalid = |problem: &dyn std::fmt::Display| DecodeError::InvalidXml {
            at,
            problem: problem.to_string(),
        };
        let ends = match reader.read_event().map_err(|e| invalid(&e))? {
            Event::Start(start) => {
                if open.len() > MAX_DEPTH {
                    return Err(DecodeError::NestedTooDeep { limit: MAX_DEPTH });
                }
                open.push(Element::new(&start).map_err(|e| invalid(&e))?);
                false
            }
            Event::Empty(start) => {
                open.push(Element::new(&start).map_err(|e| invalid(&e))?);
                true
            }
            Event::End(_) => true,
            Event::Text(piece) => {
                last(&mut open).text.push_str(&piece.xml10_content());
                false
            }
            Event::CData(piece) => {
                last(&mut open).text.push_str(&piece.xml10_content());
                false
            }
            Event::GeneralRef(reference) => {
                let text = &mut last(&mut open).text;
                if let Some(char) = reference.resolve_char_ref().map_err(|e| invalid(&e))? {
                    text.push(char);
                } else if let Some(resolved) = resolve_xml_entity(&reference) {
                    text.push_str(resolved);
                } else {
                    return Err(invalid(&format_args!("unknown entity `{}`", &*reference)));
                }
                false
            }
            Event::Eof if open.len() == 1 => break,
            Event::Eof => return Err(invalid(&"the element does not end")),
            _ => false,
        };
        if ends && open.len() > 1 {
            let element = open.pop().expect("more than one is open");
            last(&mut open).add(element.name.clone(), element.value());
        }
    }
    Ok(open.pop().expect("the root stays open").value())
}

fn last(open: &mut [Element]) -> &mut Element {
    open.last_mut().expect("the root stays open")
}

#[derive(Default)]
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

impl Element {
    fn new(start: &BytesStart<'_>) -> Result<Element, quick_xml::Error> {
        let mut element =
            Element { name: start.local_name().as_ref().to_owned(), ..Element::default() };
        for attribute in start.attributes() {
            let attribute = attribute?;
            let name = format!("@{}", attribute.key.local_name().as_ref());
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
            element.members.insert(name, Value::String(value));
        }
        Ok(element)
    }

    /// Adds an element; those of one name become a list.
    fn add(&mut self, name: String, value: Value) {
        match self.members.get_mut(&name) {
            Some(Value::Array(all)) => all.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
            None => drop(self.members.insert(name, value)),
        }
    }

    fn value(mut self) -> Value {
        if self.members.is_empty() {
            return Value::String(self.text);
        }
        // white space between elements is layout; that a field is empty says something
        if !self.text.trim().is_empty() || self.name == "Data" {
            self.members.insert("#text".to_owned(), Value::String(self.text));
        }
        Value::Object(self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn elements_are_objects_texts_and_lists() {
        let text = "<a:Event xmlns:a='x'><System><Provider Name='P'/><EventID>1</EventID></System>\
                    <EventData><Data Name='A'>x &amp; &#121;</Data><Data Name='B'/>\
                    <Data>z</Data></EventData></a:Event>";
        let expected = json!({"Event": {"@a": "x", "System": {"Provider": {"@Name": "P"},
            "EventID": "1"}, "EventData": {"Data": [{"@Name": "A", "#text": "x & y"},
            {"@Name": "B", "#text": ""}, "z"]}}});
        assert_eq!(xml(text), Ok(expected));
        assert_eq!(xml("<Param>1</Param><Param/>"), Ok(json!({"Param": ["1", ""]})));
        assert!(xml("<a><b></a>").is_err());
        assert!(xml("<a>&nbsp;</a>").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(<a>|</a>|<b x='1'/>|&amp;|&#1;|\\PC){0,20}") {
            let _ = xml(&text);
        }
    }
}
