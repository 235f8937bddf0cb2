package sql

import (
	"reflect"
	"testing"

	"github.com/piecework/piecework/localdev"
)

// A file or a database of the command line tool can be opened by a deployment, and the other way
// round.
func TestTheRecordsAreLaidOutAsOnALaptop(t *testing.T) {
	if here, there := options(), localdev.SQLOptions(); !reflect.DeepEqual(here, there) {
		t.Errorf("a deployment's store has %+v, localdev's %+v", here, there)
	}
}
