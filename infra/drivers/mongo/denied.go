package mongo

import (
	"errors"
	"fmt"
	"regexp"

	"go.mongodb.org/mongo-driver/mongo"
)

// codeUnauthorized is the server's for a lack of rights.
const codeUnauthorized = 13

var refused = regexp.MustCompile(`not authorized on (\S+) to execute command \{ (\w+):`)

// denied says what to grant.
func denied(err error) string {
	var server mongo.ServerError
	if !errors.As(err, &server) || !server.HasErrorCode(codeUnauthorized) {
		return ""
	}
	if m := refused.FindStringSubmatch(server.Error()); m != nil {
		return fmt.Sprintf("grant this process's user the role readWrite on database %s, or one that may %s there", m[1], m[2])
	}
	return "grant this process's user the role readWrite on the database"
}
