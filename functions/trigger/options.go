package trigger

import (
	"slices"
	"strings"
)

// Option is an option of a trigger: one of this package, or an option of Submit, which holds for
// every job that the trigger makes. Key is refused, because it would make one job of all messages.
type Option interface {
	ForTriggers() // does nothing; tells options of triggers from other values
}

type option func(*config)

func (option) ForTriggers() {}

// filter selects objects. An empty list selects all.
type filter struct{ buckets, prefixes, suffixes []string }

func (f filter) matches(o Object) bool {
	match := func(list []string, is func(string, string) bool, s string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(v string) bool { return is(s, v) })
	}
	equal := func(a, b string) bool { return a == b }
	return match(f.buckets, equal, o.Bucket) && match(f.prefixes, strings.HasPrefix, o.Key) &&
		match(f.suffixes, strings.HasSuffix, o.Key)
}

// ObjectBucket restricts ObjectCreated to objects in these buckets, or Azure containers.
func ObjectBucket(names ...string) Option {
	return objectOption("ObjectBucket", names, func(f *filter) *[]string { return &f.buckets })
}

// ObjectPrefix restricts ObjectCreated to objects whose key begins with one of these.
func ObjectPrefix(prefixes ...string) Option {
	return objectOption("ObjectPrefix", prefixes, func(f *filter) *[]string { return &f.prefixes })
}

// ObjectSuffix restricts ObjectCreated to objects whose key ends with one of these, for instance
// ".csv".
func ObjectSuffix(suffixes ...string) Option {
	return objectOption("ObjectSuffix", suffixes, func(f *filter) *[]string { return &f.suffixes })
}

func objectOption(name string, values []string, list func(*filter) *[]string) Option {
	return option(func(c *config) {
		c.used[name] = true
		if len(values) == 0 || slices.Contains(values, "") {
			c.refusef("%s(%q): needs at least one value, and none may be empty", name, values)
		}
		l := list(&c.objects)
		*l = append(*l, values...)
	})
}

// condition is a value that a message must have.
type condition struct{ name, value string }

// WhenField restricts a trigger to messages whose JSON has this value at this path: names of
// members separated by dots, as in "type" or "detail.state". In a CloudEvent the path begins in the
// data. Numbers and booleans are compared as they are written.
func WhenField(path, value string) Option {
	return option(func(c *config) {
		c.used["WhenField"] = true
		c.checkPath("WhenField", path)
		c.fields = append(c.fields, condition{path, value})
	})
}

// WhenAttribute restricts a trigger to messages that have this value in their metadata, or as an
// attribute of the CloudEvent. The case of the name does not matter.
func WhenAttribute(name, value string) Option {
	return option(func(c *config) {
		c.used["WhenAttribute"] = true
		if name == "" {
			c.refusef("WhenAttribute: the attribute has no name")
		}
		c.attributes = append(c.attributes, condition{name, value})
	})
}

// KeyFrom makes the text or number at this path of the message the idempotency key of the job; see
// WhenField for paths. Without KeyFrom the key is the broker's id of the message, or the source and
// id of a CloudEvent. A message without a value at the path is parked.
func KeyFrom(path string) Option {
	return option(func(c *config) {
		c.used["KeyFrom"] = true
		c.checkPath("KeyFrom", path)
		c.keyFrom = path
	})
}

func (c *config) checkPath(option, path string) {
	if slices.Contains(strings.Split(path, "."), "") {
		c.refusef("%s(%q): want names separated by single dots, as in \"detail.id\"", option, path)
	}
}
