package blobout_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piecework/piecework/blobout"
)

func TestCheckName(t *testing.T) {
	for _, ok := range []string{
		"a", "nearest.csv", "sub/folder/x.csv", "with space.csv", "München.csv", "x.attrs", "a.part-7", "100%.csv",
		`back\slash`, ".hidden", "end.", "__0x2f__", strings.Repeat("n", 200),
	} {
		if err := blobout.CheckName(ok); err != nil {
			t.Error(err)
		}
	}
	for bad, rule := range map[string]string{
		"":                                     "is empty",
		strings.Repeat("a/", 127) + "ab":       "256 bytes long",
		"\xff":                                 "UTF-8",
		"a\nb":                                 "control",
		"a\x7f":                                "control",
		"\u0020a":                              "space",
		"a\u00a0":                              "space",
		"/etc/passwd":                          "begins with",
		"a/":                                   "ends with",
		"../a":                                 `".."`,
		"a//b":                                 `"//"`,
		"a/./b":                                `"."`,
		".":                                    `"."`,
		strings.Repeat("n", 201):               "longer than 200",
		"sub/" + strings.Repeat("%", 80) + "/": "ends with",
		"sub/" + strings.Repeat("%", 80):       "longer than 200",
	} {
		err := blobout.CheckName(bad)
		if !errors.Is(err, blobout.ErrName) || !strings.Contains(err.Error(), rule) {
			t.Errorf("CheckName(%.30q) = %v, want it to say %q", bad, err, rule)
		}
	}
}

// Names that look alike, or like something else, must not meet in one key, and a directory must take them all.
func TestOddNamesAreKeptApart(t *testing.T) {
	names := []string{
		"x", "x.part-0001", "x%2Epart-0001", "x.attrs", "x%2Eattrs", "y\\z", "y%5Cz", "dot.", "dot%2E", "__0x2f__",
		"__0x2f", "_%5F0x2f", "___0x2f__/__0x5f__/x", strings.Repeat("__0x1__", 20),
		"q?#\"<>|*:", "München ", "ü/ñ",
	}
	onEach(t, func(t *testing.T, on target) {
		parts := map[string]blobout.Part{}
		for _, name := range names {
			name = strings.TrimSpace(name)
			parts[name] = write(t, on.store, "t", name, 0, name)
		}
		one := write(t, on.store, "t", "x", 1, "part one of x")
		if f, ok := blobout.ParseKey(one.Key); !ok || f.Part != 1 || f.Name != "x" {
			t.Errorf("the part's key means %+v, %v", f, ok)
		}
		for name, part := range parts {
			if got := read(t, on.store, 0, -1, part); got != name {
				t.Errorf("%q (%s) holds %q", name, part.Key, got)
			}
			f, ok := blobout.ParseKey(part.Key)
			if want := (blobout.File{ID: "job-1", Token: "t", Name: name}); !ok || f != want {
				t.Errorf("%s means %+v, %v, want %+v", part.Key, f, ok, want)
			}
		}
		if got := len(keys(t, on.store)); got != len(names)+1 {
			t.Errorf("%d blobs are listed, want %d: %q", got, len(names)+1, keys(t, on.store))
		}
	})
}

func TestTheLongestNameFitsADirectory(t *testing.T) {
	on := onDir(t, t.TempDir())
	name := strings.Repeat("n", 200)
	part := write(t, on.store, "t", name, 999_999_999, "x")
	if _, err := os.Stat(filepath.Join(on.dir, filepath.FromSlash(part.Key))); err != nil {
		t.Error(err)
	}
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"a", "x.part-0001", "a/b.attrs", "100%", "..", "a//b", "\xff", "x.", "%2E", "__0x2f__"} {
		f.Add(seed, 0)
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, name string, part int) {
		key, err := blobout.KeyOf(blobout.File{ID: "id", Token: "tok", Name: name, Part: part})
		if err != nil {
			if blobout.CheckName(name) == nil && part >= 0 && part < 1e9 {
				t.Errorf("a valid name is refused: %v", err)
			}
			return
		}
		got, ok := blobout.ParseKey(key)
		if want := (blobout.File{ID: "id", Token: "tok", Name: name, Part: part}); !ok || got != want {
			t.Errorf("%q means %+v, %v; want %+v", key, got, ok, want)
		}
		rel, err := filepath.Rel("jobs/id/a-tok", filepath.Clean(key))
		if err != nil || !filepath.IsLocal(rel) || !strings.HasPrefix(key, blobout.AttemptPrefix("id", "tok")) {
			t.Errorf("%q leaves its attempt", key)
		}
		if strings.Contains(key, "__0x") {
			t.Errorf("key of %q = %q, want none that gocloud escapes again", name, key)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("jobs/id/a-tok/x.part-0001")
	f.Add("jobs/id/a-tok/x%2Epart-0001")
	f.Add("jobs/id/p-args-0123456789abcdef")
	f.Fuzz(func(t *testing.T, key string) {
		file, ok := blobout.ParseKey(key)
		if !ok {
			return
		}
		if again, err := blobout.KeyOf(file); err != nil || again != key {
			t.Errorf("%q means %+v, whose key is %q, %v", key, file, again, err)
		}
	})
}
