// Command probe says what a program finds inside an image: authorities, zones, who it is, where it may write.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"os"
	"time"
)

func main() {
	if err := run(); err != nil {
		slog.ErrorContext(context.Background(), "look around", slog.Any("error", err))
		os.Exit(1)
	}
}

func run() error {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return err
	}
	writable := map[string]bool{}
	for _, dir := range []string{"/", "/etc", "/tmp", "/var/lib/piecework"} {
		f, err := os.CreateTemp(dir, "probe")
		writable[dir] = err == nil
		if err == nil {
			_ = f.Close()
		}
	}
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(zone)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"authorities": !pool.Equal(x509.NewCertPool()), "noon": noon.Format("15:04"), "user": os.Getuid(), "writable": writable,
	})
}
