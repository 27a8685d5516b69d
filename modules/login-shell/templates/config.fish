# Of the service {{ name }}.
{% for key, value in aliases | items %}
alias {{ key }} '{{ value | replace("\\", "\\\\") | replace("'", "\\'") }}'
{% endfor %}
{{ more }}
