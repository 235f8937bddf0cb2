// Package wire has the forms of the HTTP API's requests and answers, for the server (httpapi) and the client
// (apiclient) alike.
//
// A job travels as functions.Info. A time is RFC 3339 in UTC, a duration is text such as "90s" or "1h30m", and what
// does not apply is left out. Every refusal is a Problem (RFC 9457).
package wire
