// Package containers runs the suites of package conformance against the vendors' own images, where there is a Docker
// engine that can fetch them. Where there is none, each test is skipped with one line: unlike the servers of the module
// above, an engine cannot be installed by the tests themselves.
package containers
