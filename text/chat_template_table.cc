// The templates that --chat-template knows by name, as Jinja sources written by us. Each puts the
// markers around messages that models of that family were trained with.
#include "text/chat_template.h"

namespace llmrun {
namespace {

constexpr BuiltinTemplate kTemplates[] = {
    {"chatml", R"({%- for m in messages -%}
{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})",
     ""},
    {"llama2", R"({%- set ns = namespace(system='') -%}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}
    {%- set ns.system = '<<SYS>>\n' ~ m.content | trim ~ '\n<</SYS>>\n\n' -%}
  {%- elif m.role == 'user' -%}
    {{ bos_token ~ '[INST] ' ~ ns.system ~ m.content | trim ~ ' [/INST]' }}
    {%- set ns.system = '' -%}
  {%- else -%}
    {{ ' ' ~ m.content | trim ~ ' ' ~ eos_token }}
  {%- endif -%}
{%- endfor -%})",
     ""},
    {"llama3", R"({{- bos_token }}
{%- for m in messages -%}
{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ m.content | trim ~ '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif -%})",
     ""},
    {"mistral", R"({{- bos_token }}
{%- set ns = namespace(system='') -%}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}
    {%- set ns.system = m.content | trim ~ '\n\n' -%}
  {%- elif m.role == 'user' -%}
    {{ '[INST] ' ~ ns.system ~ m.content | trim ~ ' [/INST]' }}
    {%- set ns.system = '' -%}
  {%- else -%}
    {{ ' ' ~ m.content | trim ~ eos_token }}
  {%- endif -%}
{%- endfor -%})",
     ""},
    {"gemma", R"({{- bos_token }}
{%- set ns = namespace(system='') -%}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}
    {%- set ns.system = m.content | trim ~ '\n\n' -%}
  {%- else -%}
    {{ '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' ~ ns.system }}
    {{- m.content | trim ~ '<end_of_turn>\n' }}
    {%- set ns.system = '' -%}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %})",
     ""},
    {"phi3", R"({%- for m in messages -%}
{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ '<|end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})",
     ""},
    {"zephyr", R"({%- for m in messages -%}
{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ eos_token ~ '\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %})",
     ""},
    {"deepseek", R"({{- bos_token }}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}
    {{ m.content ~ '\n\n' }}
  {%- elif m.role == 'user' -%}
    {{ 'User: ' ~ m.content ~ '\n\n' }}
  {%- else -%}
    {{ 'Assistant: ' ~ m.content ~ eos_token }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %})",
     ""},
    {"command-r", R"({{- bos_token }}
{%- set names = {'system': 'SYSTEM', 'user': 'USER', 'assistant': 'CHATBOT'} -%}
{%- for m in messages -%}
{{ '<|START_OF_TURN_TOKEN|><|' ~ names[m.role] ~ '_TOKEN|>' ~ m.content | trim }}
{{- '<|END_OF_TURN_TOKEN|>' }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %})",
     ""},
    // For models that know text only: questions and answers, as the tiny model has seen them.
    {"plain", R"({%- for m in messages -%}
  {%- if m.role == 'system' -%}
    {{ m.content | trim ~ '\n\n' }}
  {%- elif m.role == 'user' -%}
    {{ 'Question: ' ~ m.content | trim ~ '\n' }}
  {%- else -%}
    {{ 'Answer: ' ~ m.content | trim ~ '\n\n' }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ 'Answer:' }}{% endif %})",
     "\n\n"},
};

}  // namespace

std::span<const BuiltinTemplate> BuiltinTemplates() { return kTemplates; }

}  // namespace llmrun
