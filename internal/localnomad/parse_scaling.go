package localnomad

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// taskScaling takes the scaling blocks out of a task's body: their label says what they scale.
func (p *jobParser) taskScaling(body hcl.Body, ctx *hcl.EvalContext) ([]*api.ScalingPolicy, hcl.Body, hcl.Diagnostics) {
	content, rest, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "scaling", LabelNames: []string{"name"}}}})
	refuse := func(at hcl.Range, summary, detail string) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
	}
	var out []*api.ScalingPolicy
	for _, b := range content.Blocks {
		label := strings.ToLower(b.Labels[0])
		want := "vertical_" + label
		policy := &api.ScalingPolicy{}
		diags = append(diags, p.decodeStruct(b.Body, ctx, policy)...)
		if policy.Type == "" {
			policy.Type = want
		}
		switch {
		case label != "cpu" && label != "mem":
			refuse(b.LabelRanges[0], "Invalid scaling policy name", `scaling policy name must be "cpu" or "mem"`)
		case slices.ContainsFunc(out, func(o *api.ScalingPolicy) bool { return o.Type == want }):
			refuse(b.DefRange, fmt.Sprintf("Duplicate scaling %q block", label), fmt.Sprintf("Only one scaling %s block is allowed.", label))
		case policy.Type != want:
			refuse(b.DefRange, "Invalid scaling policy type", fmt.Sprintf("Invalid policy type, expected %q but found %q", want, policy.Type))
		default:
			out = append(out, policy)
		}
	}
	return out, rest, diags
}

// checkScaling fills in and checks the scaling of a group.
func checkScaling(policy *api.ScalingPolicy, body hcl.Body) hcl.Diagnostics {
	if policy == nil {
		return nil
	}
	if policy.Type == "" {
		policy.Type = "horizontal"
	}
	var diags hcl.Diagnostics
	refuse := func(summary, detail string) {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: body.MissingItemRange().Ptr()})
	}
	if policy.Max == nil {
		refuse("Missing required argument", `The argument "max" is required, but no definition was found.`)
	}
	if policy.Type != "horizontal" {
		refuse("Invalid group scaling type", fmt.Sprintf("task group scaling policy had invalid type: %q", policy.Type))
	}
	return diags
}
