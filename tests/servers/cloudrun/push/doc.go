// Package push delivers messages as a push subscription of Pub/Sub does, as far as its documentation tells:
//
//   - a message is posted in the JSON envelope, or, with Config.Unwrapped, bare with its metadata in headers, where each
//     attribute is a header of its own name
//   - the status 102, 200, 201, 202 or 204 acknowledges it; any other, a broken connection, or none within the ack deadline
//     make it come again, after a pause that doubles each time from MinBackoff to MaxBackoff
//   - it may come again though it was acknowledged, also at the same time
//   - after MaxAttempts deliveries it goes to the dead-letter topic
//   - each request bears an OpenID Connect token of the subscription's account for its audience; Issuer makes them, and
//     others that must be refused
//
// What it does not do: adapt its rate to the answers. It always has as many requests under way as it may.
package push
