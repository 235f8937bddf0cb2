// Package lambda runs jobs on AWS Lambda: it turns the events that call a function into the verbs of a runtime, and what
// comes of them into the function's answer.
package lambda
