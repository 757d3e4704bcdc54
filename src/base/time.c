#include "base/time.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

enum { DAYS_PER_ERA = 146097, YEARS_PER_ERA = 400, DAYS_TO_1970 = 719468 };

static const int64_t us_per_second = 1000000;
static const int64_t seconds_per_day = 86400;

static const char expected_form[] =
    "a time as in RFC 3339, such as 2018-04-01T09:30:00Z or 2018-04-01T09:30:00.25+02:00";
static const char expected_offset[] = "a time with Z or an offset such as +02:00 at its end";
static const char expected_fraction[] = "a time with at most six digits of a second";
static const char expected_field[] =
    "a time whose month, day, hour, minute, second and offset exist (no leap seconds)";
static const char expected_range[] = "a time from year -9999 to year 9999, in UTC";

struct civil {
    int64_t year;
    int64_t month; /* 1 to 12 */
    int64_t day;   /* 1 to 31 */
};

/*
 * Days since 1970-01-01, after Hinnant, "chrono-compatible low-level date algorithms": years begin
 * in March, so that the leap day is the last one, and eras of 400 years all have the same length.
 */
static int64_t days_of(struct civil date) {
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = (year >= 0 ? year : year - (YEARS_PER_ERA - 1)) / YEARS_PER_ERA;
    int64_t year_of_era = year - era * YEARS_PER_ERA;
    int64_t month_from_march = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static struct civil civil_of(int64_t days) {
    int64_t from_march = days + DAYS_TO_1970;
    int64_t era = (from_march >= 0 ? from_march : from_march - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = from_march - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    struct civil date = {
        .month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
    date.year = year_of_era + era * YEARS_PER_ERA + (date.month <= 2 ? 1 : 0);
    return date;
}

static int64_t days_in_month(int64_t year, int64_t month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

/* A walk over the text; past its end or a wrong byte it only remembers that it failed. */
struct scan {
    const char *at;
    const char *end;
    bool failed;
};

static char scan_look(const struct scan *scan) {
    if (scan->at == scan->end) return '\0';
    return *scan->at;
}

static bool scan_skip(struct scan *scan, char byte) {
    if (scan->at == scan->end || *scan->at != byte) return false;
    scan->at += 1;
    return true;
}

static void scan_expect(struct scan *scan, char byte) {
    if (!scan_skip(scan, byte)) scan->failed = true;
}

static int64_t scan_number(struct scan *scan, uint32_t digits) {
    int64_t number = 0;
    for (uint32_t i = 0; i < digits; i++) {
        char digit = scan_look(scan);
        if (digit < '0' || digit > '9') {
            scan->failed = true;
            return 0;
        }
        number = number * 10 + (digit - '0');
        scan->at += 1;
    }
    return number;
}

struct fields {
    struct civil date;
    int64_t hour, minute, second, fraction_us;
    int64_t offset_sign, offset_hour, offset_minute;
    bool has_offset;
    bool is_fraction_long;
};

static void scan_fraction(struct scan *scan, struct fields *fields) {
    if (!scan_skip(scan, '.')) return;
    int64_t scale = us_per_second / 10;
    fields->fraction_us = scan_number(scan, 1) * scale;
    while (scan_look(scan) >= '0' && scan_look(scan) <= '9') {
        scale /= 10;
        if (scale == 0) fields->is_fraction_long = true;
        fields->fraction_us += scan_number(scan, 1) * scale;
    }
}

static void scan_offset(struct scan *scan, struct fields *fields) {
    fields->has_offset = true;
    if (scan_skip(scan, 'Z') || scan_skip(scan, 'z')) return;
    if (scan_skip(scan, '+')) {
        fields->offset_sign = 1;
    } else if (scan_skip(scan, '-')) {
        fields->offset_sign = -1;
    } else {
        fields->has_offset = false;
        return;
    }
    fields->offset_hour = scan_number(scan, 2);
    scan_expect(scan, ':');
    fields->offset_minute = scan_number(scan, 2);
}

/* Only the form; whether the fields make sense is asked afterwards. */
static void scan_fields(struct scan *scan, struct fields *fields) {
    bool is_negative = scan_skip(scan, '-');
    fields->date.year = scan_number(scan, 4);
    if (is_negative) fields->date.year = -fields->date.year;
    if (is_negative && fields->date.year == 0) scan->failed = true;
    scan_expect(scan, '-');
    fields->date.month = scan_number(scan, 2);
    scan_expect(scan, '-');
    fields->date.day = scan_number(scan, 2);
    if (!scan_skip(scan, 'T') && !scan_skip(scan, 't')) scan_expect(scan, ' ');
    fields->hour = scan_number(scan, 2);
    scan_expect(scan, ':');
    fields->minute = scan_number(scan, 2);
    scan_expect(scan, ':');
    fields->second = scan_number(scan, 2);
    scan_fraction(scan, fields);
    scan_offset(scan, fields);
}

static bool fields_exist(const struct fields *fields) {
    const struct civil *date = &fields->date;
    if (date->month < 1 || date->month > 12) return false;
    if (date->day < 1 || date->day > days_in_month(date->year, date->month)) return false;
    if (fields->hour > 23 || fields->minute > 59 || fields->second > 59) return false;
    return fields->offset_hour <= 23 && fields->offset_minute <= 59;
}

static int64_t fields_us(const struct fields *fields) {
    int64_t seconds = days_of(fields->date) * seconds_per_day;
    seconds += fields->hour * 3600 + fields->minute * 60 + fields->second;
    seconds -= fields->offset_sign * (fields->offset_hour * 3600 + fields->offset_minute * 60);
    return seconds * us_per_second + fields->fraction_us;
}

/* What is wrong with the text, or NULL. */
static const char *time_scan(const char *text, size_t text_bytes, int64_t *us_out) {
    struct scan scan = {.at = text, .end = text + text_bytes};
    struct fields fields = {0};
    scan_fields(&scan, &fields);
    if (scan.failed) return expected_form;
    if (fields.is_fraction_long) return expected_fraction;
    if (!fields.has_offset && scan.at == scan.end) return expected_offset;
    if (scan.at != scan.end) return expected_form;
    if (!fields_exist(&fields)) return expected_field;
    int64_t us = fields_us(&fields);
    if (us < TIME_US_MIN || us > TIME_US_MAX) return expected_range;
    *us_out = us;
    return NULL;
}

enum fst_status time_parse_rfc3339(const char *text, size_t text_bytes, int64_t *us_out,
                                   const char **expected_out) {
    const char *expected = time_scan(text, text_bytes, us_out);
    if (!expected) return FST_OK;
    if (expected_out) *expected_out = expected;
    return FST_INVALID;
}

size_t time_format_rfc3339(int64_t us, char text_out[TIME_TEXT_BYTES]) {
    if (us < TIME_US_MIN || us > TIME_US_MAX) {
        return (size_t)snprintf(text_out, TIME_TEXT_BYTES, "%" PRId64, us);
    }
    int64_t us_per_day = seconds_per_day * us_per_second;
    int64_t days = us / us_per_day;
    if (us % us_per_day < 0) days -= 1;
    int64_t rest_us = us - days * us_per_day;
    int second = (int)(rest_us / us_per_second);
    struct civil date = civil_of(days);
    return (size_t)snprintf(text_out, TIME_TEXT_BYTES, "%s%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                            date.year < 0 ? "-" : "", (int)(date.year < 0 ? -date.year : date.year),
                            (int)date.month, (int)date.day, second / 3600, second / 60 % 60,
                            second % 60, (int)(rest_us % us_per_second));
}
