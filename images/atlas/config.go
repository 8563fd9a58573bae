package main

import (
	"errors"
	"fmt"
	"os"

	"ariga.io/atlas/schemahcl"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// project is a configuration: of Atlas's own, the part that says where a database is.
type project struct {
	Envs []*environment `spec:"env"`
}

type environment struct {
	Name string `spec:",name"`
	URL  string `spec:"url"`
	Dev  string `spec:"dev"`
	schemahcl.DefaultExtension
}

// readConfig takes the URLs from the configuration, unless they were given by flags.
func (o *options) readConfig(getenv func(string) string) error {
	if o.env == "" && o.config == "" {
		return nil
	}
	if o.env == "" {
		return errors.New("--config needs --env")
	}
	if o.config == "" {
		o.config = "file://atlas.hcl"
	}
	file, err := path(o.config)
	if err != nil {
		return err
	}
	env, err := environmentOf(file, o.env, getenv)
	if err != nil {
		return err
	}
	if o.url == "" {
		o.url = env.URL
	}
	if o.devURL == "" {
		o.devURL = env.Dev
	}
	return nil
}

func environmentOf(file, name string, getenv func(string) string) (*environment, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	known := map[string]function.Function{"getenv": getenvFunction(getenv)}
	var found project
	// The library's words may show values, which hold passwords.
	if err := schemahcl.New(schemahcl.WithFunctions(known)).EvalFiles([]string{file}, &found, nil); err != nil {
		return nil, fmt.Errorf("configuration: %s is not a valid configuration", file)
	}
	for _, env := range found.Envs {
		if env.Name != name {
			continue
		}
		if extra := env.Extra; len(extra.Attrs)+len(extra.Children) > 0 {
			return nil, fmt.Errorf("configuration: env %q has more than url and dev, and nothing else is supported here", name)
		}
		return env, nil
	}
	return nil, fmt.Errorf("configuration: there is no env %q in %s", name, file)
}

func getenvFunction(getenv func(string) string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(arguments []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.StringVal(getenv(arguments[0].AsString())), nil
		},
	})
}
