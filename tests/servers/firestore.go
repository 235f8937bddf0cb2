package servers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Firestore starts Google's emulator and returns where it listens. Its jar is the one that PIECEWORK_TEST_FIRESTORE_JAR
// names, or the SDK of Google Cloud on this machine.
//
// It differs from the real service: it needs no composite indexes, so that it does not tell when one is missing, and
// does not throttle.
func Firestore(tb testing.TB) string {
	tb.Helper()
	jar, err := firestoreJar()
	if err != nil {
		Unavailable(tb, "Firestore emulator", err)
	}
	if _, err := exec.LookPath("java"); err != nil {
		Unavailable(tb, "Firestore emulator", err)
	}
	port := freePort(tb)
	run(tb, &Process{
		name: "Firestore emulator", ready: listens(address(port)),
		args: []string{
			"java", "-Duser.language=en", "-cp", jar, "com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start",
			"--host=127.0.0.1", "--port=" + strconv.Itoa(port),
		},
	})
	return address(port)
}

func firestoreJar() (string, error) {
	if jar := os.Getenv("PIECEWORK_TEST_FIRESTORE_JAR"); jar != "" {
		_, err := os.Stat(jar)
		return jar, err
	}
	roots := []string{"/usr/lib/google-cloud-sdk", "/usr/lib/google-cloud-cli", "/opt/google-cloud-sdk", "/snap/google-cloud-cli/current"}
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if file, err := filepath.EvalSymlinks(gcloud); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(file)))
		}
	}
	for _, root := range roots {
		found, _ := filepath.Glob(filepath.Join(root, "platform", "cloud-firestore-emulator", "*.jar"))
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return "", errors.New("no cloud-firestore-emulator.jar below a Google Cloud SDK, and PIECEWORK_TEST_FIRESTORE_JAR is not set")
}
