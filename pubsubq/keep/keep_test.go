package keep_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/pubsubq/keep"
)

func TestItemsAreExtendedUntilForgottenOrTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []string
		k := keep.New(10*time.Second, time.Minute, func(_ context.Context, items map[string]int) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, strings.Join(slices.Sorted(maps.Keys(items)), "+"))
		})
		wait := func(d time.Duration, want ...string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(calls, want) {
				t.Errorf("extended %v, want %v", calls, want)
			}
			calls = nil
		}
		k.Add("a", 1)
		wait(5 * time.Second)
		k.Add("b", 2)
		wait(20*time.Second, "a+b", "a+b")
		k.Forget("a")
		k.Forget("nothing")
		wait(20*time.Second, "b", "b")
		wait(time.Hour, "b", "b") // then the hold has passed
		k.Add("c", 3)             // starts the goroutine again
		wait(15*time.Second, "c")
		k.Close()
		k.Add("d", 4)
		wait(time.Hour)
	})
}

func TestNothingIsKeptWithoutAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep.New(time.Second, 0, func(context.Context, map[string]int) { t.Error("extend was called, want no call with a hold of 0") })
		k.Add("a", 1)
		time.Sleep(time.Minute)
		k.Close()
	})
}
