package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
)

// options are the flags of all commands; each command takes those that concern it.
type options struct {
	dir, url, devURL, config, env, format string
	revisionsSchema, baseline, txMode     string
	execOrder, events, repeatBegun        string
	statements                            string
	lockTimeout                           time.Duration
	bounds                                bounds
	allowDirty, dryRun                    bool
	// What stands without a flag: N for apply, the version for set.
	arguments []string
}

var execOrders = map[string]migrate.ExecOrder{
	"linear":      migrate.ExecOrderLinear,
	"linear-skip": migrate.ExecOrderLinearSkip,
	"non-linear":  migrate.ExecOrderNonLinear,
}

// parse reads the flags of a command, which may stand before and behind its arguments. After --help there are none.
func parse(command string, words []string, io streams) (*options, error) {
	o := &options{}
	set := flagsOf(command, o)
	for rest := words; ; {
		err := set.Parse(rest)
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(io.out)
			set.PrintDefaults()
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if rest = set.Args(); len(rest) == 0 {
			break
		}
		o.arguments = append(o.arguments, rest[0])
		rest = rest[1:]
	}
	if err := o.check(command); err != nil {
		return nil, err
	}
	return o, o.readConfig(io.getenv)
}

const statementsUsage = "JSON file, as file://PATH, with the positions of the statements of some files: {FILE: [[BEGIN, END]]}, in bytes"

func flagsOf(command string, o *options) *flag.FlagSet {
	set := flag.NewFlagSet(command, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	text := func(target *string, value, usage string, names ...string) {
		for _, name := range names {
			set.StringVar(target, name, value, usage)
		}
	}
	text(&o.dir, "file://migrations", "folder with the migrations, as file://PATH", "dir")
	text(&o.config, "", "configuration, as file://PATH (default file://atlas.hcl with --env)", "config", "c")
	text(&o.env, "", "env of the configuration to use", "env")
	if command == "hash" {
		return set
	}
	if command == "validate" {
		text(&o.devURL, "", "URL of an empty database on which the files are tried", "dev-url")
		text(&o.statements, "", statementsUsage, "statements")
		return set
	}
	text(&o.url, "", "URL of the database; with --config it can come from the environment", "url", "u")
	text(&o.revisionsSchema, "", "schema of the history", "revisions-schema")
	text(&o.format, "", "Go template of the output", "format")
	if command == "hold" {
		set.DurationVar(&o.lockTimeout, "lock-timeout", 10*time.Second, "how long to wait for another run")
	}
	if command == "apply" {
		set.DurationVar(&o.lockTimeout, "lock-timeout", 10*time.Second, "how long to wait for another run")
		set.DurationVar(&o.bounds.lock, "session-lock-timeout", 0, "how long a statement may wait for a lock (MySQL: at most, in whole seconds)")
		set.DurationVar(&o.bounds.statement, "session-statement-timeout", 0, "how long a statement may take; PostgreSQL only")
		set.BoolVar(&o.bounds.unlimited, "no-session-lock-timeout", false, "let statements wait for locks without a limit, whatever the server says")
		text(&o.baseline, "", "version that a database with tables but no history is at", "baseline")
		text(&o.txMode, "file", "a transaction for each file (file), for all files (all) or none (none)", "tx-mode")
		text(&o.execOrder, "linear", "what to do with files out of order: linear (an error), linear-skip, non-linear", "exec-order")
		text(&o.statements, "", statementsUsage, "statements")
		text(&o.events, "", "file (also a pipe, or /dev/fd/N) to which each step is written as a line of JSON", "events")
		text(&o.repeatBegun, "", "version of a file whose statements may all be repeated: one whose outcome is unknown is executed again", "repeat-begun")
		set.BoolVar(&o.allowDirty, "allow-dirty", false, "accept a database that has tables but no history")
		set.BoolVar(&o.dryRun, "dry-run", false, "execute and record nothing")
	}
	return set
}

func (o *options) check(command string) error {
	if _, known := execOrders[o.execOrder]; command == "apply" && !known {
		return errors.New("unknown exec-order: it must be linear, linear-skip or non-linear")
	}
	switch o.txMode {
	case "", modeFile, modeAll, modeNone:
	default:
		return errors.New("unknown tx-mode: it must be file, all or none")
	}
	switch most := map[string]int{"apply": 1, "set": 1, "ask": 16}[command]; {
	case command == "set" && len(o.arguments) != 1:
		return errors.New("the version is missing: atlas migrate set VERSION")
	case len(o.arguments) > most:
		return fmt.Errorf("%s takes at most %d arguments", command, most)
	}
	if o.lockTimeout < 0 || o.bounds.lock < 0 || o.bounds.statement < 0 {
		return errors.New("a timeout must not be negative")
	}
	if _, err := parseFormat(o.format); err != nil {
		return err
	}
	if command != "apply" {
		return nil
	}
	_, err := o.amount()
	return err
}

// amount is how many files to apply; 0 stands for all.
func (o *options) amount() (int, error) {
	if len(o.arguments) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(o.arguments[0])
	if err != nil || n < 1 {
		return 0, errors.New("the number of files to apply must be a positive integer")
	}
	return n, nil
}

// path is what a file:// URL names.
func path(url string) (string, error) {
	name, found := strings.CutPrefix(url, "file://")
	if !found || name == "" {
		return "", errors.New("a folder or configuration must be given as file://PATH")
	}
	return name, nil
}
