// SPDX-License-Identifier: MIT

// The files of the console as constants. The compiler reads them itself (C23 #embed), so that what is served is what stands in `web`, with no step between.

#include "ConsoleAssets.h"

// Swift packages are compiled as C11 or C17, where this is an extension.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char app_js[] = {
#embed "web/app.js"
};
static const unsigned char components_charts_js[] = {
#embed "web/components/charts.js"
};
static const unsigned char components_controls_js[] = {
#embed "web/components/controls.js"
};
static const unsigned char components_dialogs_js[] = {
#embed "web/components/dialogs.js"
};
static const unsigned char components_forms_js[] = {
#embed "web/components/forms.js"
};
static const unsigned char components_meters_js[] = {
#embed "web/components/meters.js"
};
static const unsigned char components_toasts_js[] = {
#embed "web/components/toasts.js"
};
static const unsigned char components_virtual_table_js[] = {
#embed "web/components/virtual-table.js"
};
static const unsigned char console_css[] = {
#embed "web/console.css"
};
static const unsigned char core_api_js[] = {
#embed "web/core/api.js"
};
static const unsigned char core_dom_js[] = {
#embed "web/core/dom.js"
};
static const unsigned char core_download_js[] = {
#embed "web/core/download.js"
};
static const unsigned char core_feed_js[] = {
#embed "web/core/feed.js"
};
static const unsigned char core_format_js[] = {
#embed "web/core/format.js"
};
static const unsigned char core_json_text_js[] = {
#embed "web/core/json-text.js"
};
static const unsigned char core_preferences_js[] = {
#embed "web/core/preferences.js"
};
static const unsigned char core_repeat_js[] = {
#embed "web/core/repeat.js"
};
static const unsigned char core_router_js[] = {
#embed "web/core/router.js"
};
static const unsigned char core_session_js[] = {
#embed "web/core/session.js"
};
static const unsigned char core_text_js[] = {
#embed "web/core/text.js"
};
static const unsigned char core_types_js[] = {
#embed "web/core/types.js"
};
static const unsigned char icon_svg[] = {
#embed "web/icon.svg"
};
static const unsigned char index_html[] = {
#embed "web/index.html"
};
static const unsigned char text_en_js[] = {
#embed "web/text/en.js"
};
static const unsigned char text_zh_js[] = {
#embed "web/text/zh.js"
};
static const unsigned char views_client_form_js[] = {
#embed "web/views/client-form.js"
};
static const unsigned char views_client_key_js[] = {
#embed "web/views/client-key.js"
};
static const unsigned char views_clients_js[] = {
#embed "web/views/clients.js"
};
static const unsigned char views_key_detail_js[] = {
#embed "web/views/key-detail.js"
};
static const unsigned char views_key_import_js[] = {
#embed "web/views/key-import.js"
};
static const unsigned char views_key_validation_js[] = {
#embed "web/views/key-validation.js"
};
static const unsigned char views_keys_js[] = {
#embed "web/views/keys.js"
};
static const unsigned char views_login_js[] = {
#embed "web/views/login.js"
};
static const unsigned char views_overview_attention_js[] = {
#embed "web/views/overview-attention.js"
};
static const unsigned char views_overview_history_js[] = {
#embed "web/views/overview-history.js"
};
static const unsigned char views_overview_live_js[] = {
#embed "web/views/overview-live.js"
};
static const unsigned char views_overview_pools_js[] = {
#embed "web/views/overview-pools.js"
};
static const unsigned char views_overview_start_js[] = {
#embed "web/views/overview-start.js"
};
static const unsigned char views_overview_js[] = {
#embed "web/views/overview.js"
};
static const unsigned char views_request_dialog_js[] = {
#embed "web/views/request-dialog.js"
};
static const unsigned char views_request_filters_js[] = {
#embed "web/views/request-filters.js"
};
static const unsigned char views_request_list_js[] = {
#embed "web/views/request-list.js"
};
static const unsigned char views_request_words_js[] = {
#embed "web/views/request-words.js"
};
static const unsigned char views_requests_js[] = {
#embed "web/views/requests.js"
};
static const unsigned char views_rule_answer_js[] = {
#embed "web/views/rule-answer.js"
};
static const unsigned char views_rule_editor_js[] = {
#embed "web/views/rule-editor.js"
};
static const unsigned char views_rule_effects_js[] = {
#embed "web/views/rule-effects.js"
};
static const unsigned char views_rule_explain_js[] = {
#embed "web/views/rule-explain.js"
};
static const unsigned char views_rule_json_js[] = {
#embed "web/views/rule-json.js"
};
static const unsigned char views_rule_rows_js[] = {
#embed "web/views/rule-rows.js"
};
static const unsigned char views_rule_sentence_js[] = {
#embed "web/views/rule-sentence.js"
};
static const unsigned char views_rule_table_js[] = {
#embed "web/views/rule-table.js"
};
static const unsigned char views_rules_page_js[] = {
#embed "web/views/rules-page.js"
};
static const unsigned char views_rules_js[] = {
#embed "web/views/rules.js"
};
static const unsigned char views_service_actions_js[] = {
#embed "web/views/service-actions.js"
};
static const unsigned char views_service_address_js[] = {
#embed "web/views/service-address.js"
};
static const unsigned char views_service_dialects_js[] = {
#embed "web/views/service-dialects.js"
};
static const unsigned char views_service_drafts_js[] = {
#embed "web/views/service-drafts.js"
};
static const unsigned char views_service_form_js[] = {
#embed "web/views/service-form.js"
};
static const unsigned char views_service_list_js[] = {
#embed "web/views/service-list.js"
};
static const unsigned char views_service_new_js[] = {
#embed "web/views/service-new.js"
};
static const unsigned char views_service_page_js[] = {
#embed "web/views/service-page.js"
};
static const unsigned char views_service_presets_js[] = {
#embed "web/views/service-presets.js"
};
static const unsigned char views_service_settings_js[] = {
#embed "web/views/service-settings.js"
};
static const unsigned char views_service_snippets_js[] = {
#embed "web/views/service-snippets.js"
};
static const unsigned char views_service_try_js[] = {
#embed "web/views/service-try.js"
};
static const unsigned char views_service_use_js[] = {
#embed "web/views/service-use.js"
};
static const unsigned char views_services_js[] = {
#embed "web/views/services.js"
};
static const unsigned char views_settings_alerts_js[] = {
#embed "web/views/settings-alerts.js"
};
static const unsigned char views_settings_audit_js[] = {
#embed "web/views/settings-audit.js"
};
static const unsigned char views_settings_general_js[] = {
#embed "web/views/settings-general.js"
};
static const unsigned char views_settings_import_js[] = {
#embed "web/views/settings-import.js"
};
static const unsigned char views_settings_jobs_js[] = {
#embed "web/views/settings-jobs.js"
};
static const unsigned char views_settings_passphrase_js[] = {
#embed "web/views/settings-passphrase.js"
};
static const unsigned char views_settings_transfer_js[] = {
#embed "web/views/settings-transfer.js"
};
static const unsigned char views_settings_webhook_js[] = {
#embed "web/views/settings-webhook.js"
};
static const unsigned char views_settings_js[] = {
#embed "web/views/settings.js"
};
static const unsigned char views_trial_answer_js[] = {
#embed "web/views/trial-answer.js"
};
static const unsigned char views_trial_key_js[] = {
#embed "web/views/trial-key.js"
};

#define ASSET(path, name) {path, name, sizeof name}

static const struct console_asset all_assets[] = {
    ASSET("app.js", app_js),
    ASSET("components/charts.js", components_charts_js),
    ASSET("components/controls.js", components_controls_js),
    ASSET("components/dialogs.js", components_dialogs_js),
    ASSET("components/forms.js", components_forms_js),
    ASSET("components/meters.js", components_meters_js),
    ASSET("components/toasts.js", components_toasts_js),
    ASSET("components/virtual-table.js", components_virtual_table_js),
    ASSET("console.css", console_css),
    ASSET("core/api.js", core_api_js),
    ASSET("core/dom.js", core_dom_js),
    ASSET("core/download.js", core_download_js),
    ASSET("core/feed.js", core_feed_js),
    ASSET("core/format.js", core_format_js),
    ASSET("core/json-text.js", core_json_text_js),
    ASSET("core/preferences.js", core_preferences_js),
    ASSET("core/repeat.js", core_repeat_js),
    ASSET("core/router.js", core_router_js),
    ASSET("core/session.js", core_session_js),
    ASSET("core/text.js", core_text_js),
    ASSET("core/types.js", core_types_js),
    ASSET("icon.svg", icon_svg),
    ASSET("index.html", index_html),
    ASSET("text/en.js", text_en_js),
    ASSET("text/zh.js", text_zh_js),
    ASSET("views/client-form.js", views_client_form_js),
    ASSET("views/client-key.js", views_client_key_js),
    ASSET("views/clients.js", views_clients_js),
    ASSET("views/key-detail.js", views_key_detail_js),
    ASSET("views/key-import.js", views_key_import_js),
    ASSET("views/key-validation.js", views_key_validation_js),
    ASSET("views/keys.js", views_keys_js),
    ASSET("views/login.js", views_login_js),
    ASSET("views/overview-attention.js", views_overview_attention_js),
    ASSET("views/overview-history.js", views_overview_history_js),
    ASSET("views/overview-live.js", views_overview_live_js),
    ASSET("views/overview-pools.js", views_overview_pools_js),
    ASSET("views/overview-start.js", views_overview_start_js),
    ASSET("views/overview.js", views_overview_js),
    ASSET("views/request-dialog.js", views_request_dialog_js),
    ASSET("views/request-filters.js", views_request_filters_js),
    ASSET("views/request-list.js", views_request_list_js),
    ASSET("views/request-words.js", views_request_words_js),
    ASSET("views/requests.js", views_requests_js),
    ASSET("views/rule-answer.js", views_rule_answer_js),
    ASSET("views/rule-editor.js", views_rule_editor_js),
    ASSET("views/rule-effects.js", views_rule_effects_js),
    ASSET("views/rule-explain.js", views_rule_explain_js),
    ASSET("views/rule-json.js", views_rule_json_js),
    ASSET("views/rule-rows.js", views_rule_rows_js),
    ASSET("views/rule-sentence.js", views_rule_sentence_js),
    ASSET("views/rule-table.js", views_rule_table_js),
    ASSET("views/rules-page.js", views_rules_page_js),
    ASSET("views/rules.js", views_rules_js),
    ASSET("views/service-actions.js", views_service_actions_js),
    ASSET("views/service-address.js", views_service_address_js),
    ASSET("views/service-dialects.js", views_service_dialects_js),
    ASSET("views/service-drafts.js", views_service_drafts_js),
    ASSET("views/service-form.js", views_service_form_js),
    ASSET("views/service-list.js", views_service_list_js),
    ASSET("views/service-new.js", views_service_new_js),
    ASSET("views/service-page.js", views_service_page_js),
    ASSET("views/service-presets.js", views_service_presets_js),
    ASSET("views/service-settings.js", views_service_settings_js),
    ASSET("views/service-snippets.js", views_service_snippets_js),
    ASSET("views/service-try.js", views_service_try_js),
    ASSET("views/service-use.js", views_service_use_js),
    ASSET("views/services.js", views_services_js),
    ASSET("views/settings-alerts.js", views_settings_alerts_js),
    ASSET("views/settings-audit.js", views_settings_audit_js),
    ASSET("views/settings-general.js", views_settings_general_js),
    ASSET("views/settings-import.js", views_settings_import_js),
    ASSET("views/settings-jobs.js", views_settings_jobs_js),
    ASSET("views/settings-passphrase.js", views_settings_passphrase_js),
    ASSET("views/settings-transfer.js", views_settings_transfer_js),
    ASSET("views/settings-webhook.js", views_settings_webhook_js),
    ASSET("views/settings.js", views_settings_js),
    ASSET("views/trial-answer.js", views_trial_answer_js),
    ASSET("views/trial-key.js", views_trial_key_js),
};

const struct console_asset *const console_assets = all_assets;
const size_t console_asset_count = sizeof all_assets / sizeof all_assets[0];
