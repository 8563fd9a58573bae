package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func nowhere() streams {
	return streams{nil, io.Discard, io.Discard, func(string) string { return "" }}
}

func TestFlagsMayStandOnBothSidesOfArguments(t *testing.T) {
	o, err := parse("apply", []string{"--dir", "file://a", "3", "--lock-timeout=50ms", "-u", "url", "--allow-dirty"}, nowhere())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := o.amount()
	if n != 3 || o.dir != "file://a" || o.url != "url" || o.lockTimeout != 50*time.Millisecond || !o.allowDirty {
		t.Errorf("got %+v", o)
	}
}

func TestDefaults(t *testing.T) {
	o, err := parse("apply", nil, nowhere())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := o.amount()
	if n != 0 || o.dir != "file://migrations" || o.lockTimeout != 10*time.Second || o.txMode != modeFile || o.execOrder != "linear" {
		t.Errorf("got %+v", o)
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, words := range []string{
		"migrate nonsense", "nonsense", "migrate apply --nonsense", "migrate apply 1 2", "migrate apply 0", "migrate apply -1",
		"migrate apply x", "migrate apply --tx-mode x", "migrate apply --exec-order x", "migrate apply --lock-timeout 5",
		"migrate apply --lock-timeout -1s", "migrate apply --format {{", "migrate status --format {{.x",
		"migrate set", "migrate set 1 2", "migrate hash 1", "migrate status 1", "migrate status --baseline 1",
		"migrate apply --config file://nowhere.hcl", "migrate apply --config file://nowhere.hcl --env run",
		"migrate hash --dir nowhere", "migrate hash --dir file://nowhere",
	} {
		if code, output := call(t, nil, strings.Fields(words)...); code != 1 || !strings.HasPrefix(output, "Error: ") {
			t.Errorf("%s: %d, %q", words, code, output)
		}
	}
}

func TestWhatIsPrintedWithoutAnError(t *testing.T) {
	for words, want := range map[string]string{
		"version":              "atlas version dbupgrade-" + Version,
		"--help":               "atlas migrate apply",
		"":                     "atlas migrate apply",
		"migrate":              "atlas migrate apply",
		"migrate apply --help": "lock-timeout",
	} {
		if code, output := call(t, nil, strings.Fields(words)...); code != 0 || !strings.Contains(output, want) {
			t.Errorf("%s: %d, %q", words, code, output)
		}
	}
}

func TestURLsComeFromTheConfiguration(t *testing.T) {
	environment := map[string]string{"DATABASE_URL": "postgres://h/db", "DEV_URL": "postgres://h/dev", "DB_USER": "u s", "DB_PASSWORD": "p@/+ %"}
	for _, test := range []struct{ name, config, url, dev, err string }{
		{"from the environment", `env "run" {
  url = getenv("DATABASE_URL")
  dev = getenv("DEV_URL")
}`, "postgres://h/db", "postgres://h/dev", ""},
		{"in parts", `env "run" {
  url = "postgres://${join("%20", split("+", urlescape(getenv("DB_USER"))))}:${join("%20", split("+", urlescape(getenv("DB_PASSWORD"))))}@h:1/db?sslmode=require"
}`, "postgres://u%20s:p%40%2F%2B%20%25@h:1/db?sslmode=require", "", ""},
		{"of several", "env \"other\" {\n  url = \"x\"\n}\nenv \"run\" {\n  url = \"y\"\n}", "y", "", ""},
		{"not set", `env "run" {
  url = getenv("NOWHERE")
}`, "", "", ""},
		{"no such env", `env "other" {
  url = "x"
}`, "", "", `there is no env "run"`},
		{"more than is known", `env "run" {
  url = "x"
  schemas = ["a"]
}`, "", "", "more than url and dev"},
		{"a block that would be passed over", "env \"run\" {\n  url = \"x\"\n  migration {\n    revisions_schema = \"a\"\n  }\n}", "", "", "more than url and dev"},
		{"malformed", `env "run" { url = postgres://u:hunter2@h`, "", "", "is not a valid configuration"},
		{"an unknown function", `env "run" {
  url = file("x")
}`, "", "", "is not a valid configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "atlas.hcl")
			if err := os.WriteFile(file, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			io := streams{nil, io.Discard, io.Discard, func(name string) string { return environment[name] }}
			o, err := parse("apply", []string{"--config", "file://" + file, "--env", "run"}, io)
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), password) {
					t.Errorf("got %v", err)
				}
			case err != nil:
				t.Error(err)
			case o.url != test.url || o.devURL != test.dev:
				t.Errorf("got %q and %q", o.url, o.devURL)
			}
		})
	}
}

func TestUnquoted(t *testing.T) {
	for given, want := range map[string]string{"": "", "app": "app", `"MyApp"`: "MyApp", `"a""b"`: `a"b`, `""`: `""`, `"a`: `"a`} {
		if got := unquoted(given); got != want {
			t.Errorf("unquoted(%q) is %q, want %q", given, got, want)
		}
	}
}
