//! A JSON tree as a list of its leaves: where each stands, its name and its text.
//!
//! Dots in keys count as levels, and so do the names that some tools put before others
//! ([`PREFIXES`]). Texts of JSON or XML are leaves that have leaves, unless they are the value of a
//! field: what an attacker writes there stays text. A list of names with their
//! values, in whichever form, is an object. A list with a single value is that value, as
//! Elasticsearch's `fields` has them; a longer list of values is kept as that, by position.

use serde_json::{Map, Value};

use super::super::catalogue::aliases::{PREFIXES, plain};
use super::assemble::is_field_name;
use super::tree;

/// How deep texts may be in texts.
const MAX_TEXTS: usize = 4;

/// Names of the object that XML as JSON has for an element's attributes.
const ATTRIBUTES: [&str; 5] = ["#attributes", "@attributes", "attributes", "$", "@"];

/// A value that holds no others.
#[derive(Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The plain names of the objects around it, outermost first.
    pub path: Vec<String>,
    /// Its name as written.
    pub name: String,
    /// Its plain name.
    pub plain: String,
    /// Its text; `None` for JSON's `null`.
    pub text: Option<String>,
    /// It comes from a list of names and values: its name is a field's, never a head's.
    pub listed: bool,
    /// It stands in a text of JSON or XML, not in the tree itself.
    pub inner: bool,
}

/// Values without names.
#[derive(Debug, PartialEq, Eq)]
pub struct List {
    /// The plain names of the objects around it, outermost first, and its own.
    pub path: Vec<String>,
    /// Their texts; that of `null` is empty.
    pub values: Vec<String>,
}

/// What is found in a tree.
#[derive(Debug, Default)]
pub struct Leaves {
    /// All leaves.
    pub all: Vec<Leaf>,
    /// All lists of several values without names.
    pub lists: Vec<List>,
    /// The tree was made of XML.
    pub xml: bool,
}

/// The leaves of a tree.
pub fn of(value: &Value) -> Leaves {
    let mut leaves = Leaves::default();
    leaves.collect(value, &mut Vec::new(), 0);
    leaves
}

impl Leaves {
    fn collect(&mut self, value: &Value, path: &mut Vec<String>, texts: usize) {
        match value {
            // a single element of a list that XML as JSON does not write as a list
            Value::Object(_)
                if path.last().is_some_and(|n| n == "Data") && named(value).is_some() =>
            {
                self.list(std::slice::from_ref(value), path, texts);
            }
            Value::Object(members) => {
                for (key, value) in members {
                    let depth = path.len();
                    // attributes are their element's
                    if !(value.is_object() && ATTRIBUTES.contains(&key.as_str())) {
                        path.extend(levels(key).into_iter().map(str::to_owned));
                    }
                    self.collect(value, path, texts);
                    path.truncate(depth);
                }
            }
            Value::Array(items) => self.list(items, path, texts),
            Value::String(text) => {
                let is_value = path.last().is_some_and(|name| is_field_name(name));
                match content(text).filter(|_| texts < MAX_TEXTS && !is_value) {
                    Some(inner) => self.collect(&inner, path, texts + 1),
                    None => self.leaf(path, Some(text.clone()), texts),
                }
            }
            Value::Null => self.leaf(path, None, texts),
            Value::Bool(_) | Value::Number(_) => self.leaf(path, Some(value.to_string()), texts),
        }
    }

    fn list(&mut self, items: &[Value], path: &mut Vec<String>, texts: usize) {
        let named: Vec<_> = items.iter().filter_map(named).collect();
        if !named.is_empty() {
            for (name, value) in named {
                let text = scalar(value).or_else(|| (!value.is_null()).then(|| value.to_string()));
                self.all.push(Leaf {
                    path: path.iter().map(|name| plain(name)).collect(),
                    name: name.to_owned(),
                    plain: plain(name),
                    text,
                    listed: true,
                    inner: texts > 0,
                });
            }
            return;
        }
        if let [one] = items {
            return self.collect(one, path, texts);
        }
        let values = items.iter().map(|item| match item {
            Value::Object(members) => members.get("Value").and_then(scalar),
            Value::Null => Some(String::new()),
            other => scalar(other),
        });
        if let Some(values) = values.collect::<Option<Vec<_>>>() {
            let path = path.iter().map(|name| plain(name)).collect();
            self.lists.push(List { path, values });
        }
    }

    fn leaf(&mut self, path: &[String], text: Option<String>, texts: usize) {
        let Some((name, path)) = path.split_last() else { return };
        // an element's own text has the name of the element
        let (name, path) = match (name.as_str(), path.split_last()) {
            ("#text" | "_" | "text" | "Value" | "value", Some((parent, path))) => (parent, path),
            _ => (name, path),
        };
        self.all.push(Leaf {
            path: path.iter().map(|name| plain(name)).collect(),
            name: name.clone(),
            plain: plain(name.strip_prefix('@').filter(|_| !path.is_empty()).unwrap_or(name)),
            text,
            listed: false,
            inner: texts > 0,
        });
    }
}

/// A key's levels.
pub fn levels(key: &str) -> Vec<&str> {
    let dotted = !key.contains(' ') && key.split('.').all(|level| !level.is_empty());
    let mut levels = Vec::new();
    for mut level in if dotted { key.split('.').collect() } else { vec![key] } {
        while let Some((prefix, rest)) = PREFIXES.iter().find_map(|prefix| {
            let rest = level.get(prefix.len()..)?.strip_prefix('_')?;
            level[..prefix.len()].eq_ignore_ascii_case(prefix).then_some((*prefix, rest))
        }) {
            levels.push(prefix);
            level = rest;
        }
        levels.push(level);
    }
    levels
}

/// The name and value of an element of a list of fields, as XML in JSON, as attributes in an
/// object of their own, or as plain members.
pub fn named(item: &Value) -> Option<(&str, &Value)> {
    const EMPTY: &Value = &Value::Null;
    let members = item.as_object()?;
    let get = |names: &[&str]| names.iter().find_map(|name| members.get(*name));
    let name_in = |members: &'_ Map<String, Value>| {
        ["Name", "@Name", "name", "@name", "Key", "key"]
            .into_iter()
            .find(|n| members.contains_key(*n))
    };
    let name = match get(&ATTRIBUTES) {
        Some(Value::Object(attributes)) => attributes.get(name_in(attributes)?)?,
        _ => members.get(name_in(members)?)?,
    };
    let value = get(&["#text", "text", "Text", "Value", "value", "_", "$t", "content"]);
    // an object that also has a name is no pair
    (members.len() <= 3).then_some((name.as_str()?, value.unwrap_or(EMPTY)))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// What a text of JSON or XML holds.
fn content(text: &str) -> Option<Value> {
    let text = text.trim();
    match (text.as_bytes().first()?, text.as_bytes().last()?) {
        (b'{', b'}') | (b'[', b']') => serde_json::from_str(text).ok(),
        (b'<', b'>') => tree::xml(text).ok().filter(|value| !value.is_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(value: &Value) -> Vec<String> {
        let leaf = |leaf: &Leaf| {
            format!("{}.{}={}", leaf.path.join("."), leaf.name, leaf.text.as_deref().unwrap_or("∅"))
        };
        of(value).all.iter().map(leaf).collect()
    }

    #[test]
    fn dots_prefixes_and_texts_are_levels() {
        let tree = json!({"winlog.event_data.Image": ["a"], "winlogbeat_event_data_Image": "b",
            "winlog_event_id": 3, "a b.c": true, "Payload": "{\"EventData\":{\"X\":null}}",
            "xml": "<EventData><Data Name='Y'>z</Data></EventData>"});
        let expected = [
            "winlog.eventdata.Image=a",
            "winlogbeat.eventdata.Image=b",
            "winlog.event_id=3",
            ".a b.c=true",
            "payload.eventdata.X=∅",
            "xml.eventdata.data.Y=z",
        ];
        assert_eq!(texts(&tree), expected);
    }

    #[test]
    fn lists_of_names_in_every_form() {
        for list in [
            json!([{"Name": "A", "text": "1"}, {"Name": "B"}]),
            json!([{"@Name": "A", "#text": 1}, {"@Name": "B", "#text": null}]),
            json!([{"@attributes": {"Name": "A"}, "#text": "1"}, {"@attributes": {"Name": "B"}}]),
            json!([{"$": {"Name": "A"}, "_": "1"}, {"$": {"Name": "B"}}]),
        ] {
            assert_eq!(texts(&json!({"Data": list})), ["data.A=1", "data.B=∅"]);
        }
    }

    #[test]
    fn lists_without_names_are_kept_in_order() {
        let tree = json!({"a": ["x", 2, null], "p": [{"Value": 1}, {"Value": "y"}], "s": ["one"]});
        let leaves = of(&tree);
        let lists: Vec<_> = leaves.lists.iter().map(|list| (&list.path[0], &list.values)).collect();
        assert_eq!(
            lists,
            [
                (&"a".into(), &["x", "2", ""].map(String::from).into()),
                (&"p".into(), &["1", "y"].map(String::from).into())
            ]
        );
        assert_eq!(leaves.all.len(), 1);
    }
}
